using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Describes tensors of one file for the writer of another; the elements pass through when their turn comes.</summary>
/// <param name="source">The file that is read.</param>
/// <param name="floats">What floats become; null leaves them as they are.</param>
/// <param name="passed">Told of every block of bytes that was written.</param>
/// <param name="cancellation">Ends the writing between two blocks.</param>
internal sealed class TensorCopies(WeightFile source, ElementType? floats = null, Action<long>? passed = null,
    CancellationToken cancellation = default)
{
    /// <summary>The file that is read.</summary>
    public WeightFile Source => source;

    /// <summary>Bytes of everything that was asked for.</summary>
    public long Bytes { get; private set; }

    /// <summary>Describes a tensor.</summary>
    /// <param name="tensor">Of the source.</param>
    /// <param name="name">What it is called in the other file.</param>
    /// <param name="keep">True leaves its type as it is.</param>
    /// <exception cref="WeightsException">Its elements are of a type that no file of this program has.</exception>
    public TensorSource Of(StoredTensor tensor, string name, bool keep = false)
    {
        var from = tensor.Type.Element ?? throw new WeightsException(source.Path, tensor.Name, $"holds {tensor.Type.Name}",
            "expected floats of 16 to 64 bits, whole numbers or bool: in PyTorch, convert it before saving or leave it out");
        var to = from.IsFloat() && !keep ? floats ?? from : from;
        Bytes += tensor.Count * to.Size();
        return TensorSource.Streamed(name, to, tensor.Shape, stream =>
        {
            var watched = passed is null ? stream : new WatchedStream(stream, passed, cancellation);
            source.CopyTo(tensor, from == to ? watched : new FloatRounding(watched, from, to));
        });
    }
}

using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A safetensors file.</summary>
internal sealed class SafetensorsFile : WeightFile
{
    private readonly SafetensorsReader _reader;

    private SafetensorsFile(string path, SafetensorsReader reader)
        : base(path, "safetensors")
    {
        _reader = reader;
        Tensors = [.. reader.Entries.Select(entry => new StoredTensor(entry.Name, TorchType.Of(entry.Type), [.. entry.Shape]))];
        Metadata = reader.Metadata;
    }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="WeightsException">The file is missing, unreadable, cut short or malformed.</exception>
    public static SafetensorsFile Read(string path) => new(path, SafetensorsReader.Open(path));

    public override void CopyTo(StoredTensor tensor, Stream destination) => _reader.CopyTo(tensor.Name, destination);

    public override void Dispose() => _reader.Dispose();
}

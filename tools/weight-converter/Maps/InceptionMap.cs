using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Inception-v3 as pytorch-fid publishes it and as torchvision has it: the same names, which stay.</summary>
/// <remarks>Left out is what no feature depends on: the counters of the batch norms, which the published file may or may not have, and
/// torchvision's second classifier.</remarks>
internal static class InceptionMap
{
    private const string First = "Conv2d_1a_3x3.conv.weight";
    private const string Counter = ".num_batches_tracked";
    private const string SecondClassifier = "AuxLogits.";
    private const string Classifier = "fc.";

    /// <summary>What the names begin with, or null where the file holds no Inception network.</summary>
    public static string? PrefixOf(WeightFile file) => file.Tensors
        .Where(tensor => tensor.Name == First || tensor.Name.EndsWith("." + First, StringComparison.Ordinal))
        .Select(tensor => tensor.Name[..^First.Length]).FirstOrDefault();

    /// <summary>Describes the network's tensors under their own names for a writer.</summary>
    public static List<TensorSource> Convert(TensorCopies copies, string prefix)
        => [.. Select(copies.Source, prefix).Select(tensor => copies.Of(copies.Source.Find(prefix + tensor.Name)!, tensor.Name))];

    /// <summary>Compares every tensor, and every value's sanity, with what the library's network wants.</summary>
    /// <param name="file">The file.</param>
    /// <param name="prefix">What the names of the network's tensors begin with.</param>
    /// <param name="anyClasses">True passes over the classifier, which no feature depends on: torchvision's has other classes.</param>
    /// <returns>The weights' digest; null where the classifier is not the published network's.</returns>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape (all are listed),
    /// or values are impossible.</exception>
    public static string? Check(WeightFile file, string prefix, bool anyClasses = false)
    {
        var tensors = Select(file, prefix).ToList();
        var wanted = InceptionWeights.Layout.Where(tensor => tensor.Name.StartsWith(Classifier, StringComparison.Ordinal)).ToList();
        bool others = anyClasses && wanted.Exists(tensor => file.Find(prefix + tensor.Name) is { } found
            && !tensor.Shape.Extents.SequenceEqual(found.Shape));
        if (others)
        {
            tensors.RemoveAll(tensor => tensor.Name.StartsWith(Classifier, StringComparison.Ordinal));
            tensors.AddRange(wanted.Select(tensor
                => new StoredTensor(tensor.Name, TorchType.Of(ElementType.F32), tensor.Shape.Extents.ToArray())));
        }
        var weights = InceptionWeights.Create(file.Path, tensors.Select(tensor => tensor.Entry), name =>
            others && name.StartsWith(Classifier, StringComparison.Ordinal)
                ? new float[wanted.Single(tensor => tensor.Name == name).Shape.Count]
                : file.ReadSingles(file.Find(prefix + name)!));
        return others ? null : weights.Id;
    }

    private static IEnumerable<StoredTensor> Select(WeightFile file, string prefix) => file.Tensors
        .Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal))
        .Select(tensor => tensor with { Name = tensor.Name[prefix.Length..] })
        .Where(tensor => !tensor.Name.EndsWith(Counter, StringComparison.Ordinal)
            && !tensor.Name.StartsWith(SecondClassifier, StringComparison.Ordinal));
}

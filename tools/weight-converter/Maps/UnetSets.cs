using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Which of a file's tensors are a U-Net's weights: what the names of each set begin with.</summary>
/// <param name="Online">The weights that training left, or null.</param>
/// <param name="Average">Their average, or null.</param>
/// <param name="Copy">A second copy of the trained weights, or null.</param>
internal sealed record UnetSets(string? Online, string? Average, string? Copy = null)
{
    private const string First = "init_conv.weight";
    private const string AverageMark = "ema_model.";
    private const string CopyMark = "online_model.";

    /// <summary>Any of the sets; they have the same names.</summary>
    public string Any => Online ?? Average!;

    /// <summary>All sets that there are.</summary>
    public IEnumerable<string> All => new[] { Online, Average, Copy }.OfType<string>();

    /// <summary>Finds the sets.</summary>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="WeightsException">There are several networks.</exception>
    public static UnetSets? Find(WeightFile file)
    {
        if (Checkpoint.IsCheckpoint(file.Metadata))
            return new UnetSets(Checkpoint.PrefixOf(CheckpointPart.Model), Checkpoint.PrefixOf(CheckpointPart.Average));
        var prefixes = file.Tensors.Where(tensor => tensor.Name == First || tensor.Name.EndsWith("." + First, StringComparison.Ordinal))
            .Select(tensor => tensor.Name[..^First.Length]).ToList();
        // The average's file keeps a second copy of the trained weights.
        string? copy = prefixes.Exists(prefix => !Marked(prefix, CopyMark) && !Marked(prefix, AverageMark))
            ? prefixes.Find(prefix => Marked(prefix, CopyMark)) : null;
        if (copy is not null)
            prefixes.Remove(copy);
        var averages = prefixes.Where(prefix => Marked(prefix, AverageMark)).ToList();
        var onlines = prefixes.Except(averages).ToList();
        if (averages.Count > 1 || onlines.Count > 1)
        {
            throw new WeightsException(file.Path, null,
                $"it holds several networks ({string.Join(", ", (onlines.Count > 1 ? onlines : averages).Select(p => $"'{p}'"))})",
                "expected one, and its average: in PyTorch, save the state_dict() of one");
        }
        return prefixes.Count == 0 ? null : new UnetSets(onlines.FirstOrDefault(), averages.FirstOrDefault(), copy);
    }

    private static bool Marked(string prefix, string mark)
        => prefix.StartsWith(mark, StringComparison.Ordinal) || prefix.Contains("." + mark, StringComparison.Ordinal);
}

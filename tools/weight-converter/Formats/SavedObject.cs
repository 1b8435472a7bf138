using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A dictionary to be saved for torch. Keys are text or whole numbers; values are null, bool, long, double, text, arrays of such
/// (saved as tuples), other dictionaries, lists, and <see cref="TensorSource"/>: the same object twice shares one storage.</summary>
/// <param name="ordered">True for a collections.OrderedDict, as state dictionaries are.</param>
internal sealed class SavedDictionary(bool ordered = false)
{
    public bool IsOrdered => ordered;

    public List<(object Key, object? Value)> Items { get; } = [];

    /// <summary>Appends an entry.</summary>
    public object? this[object key]
    {
        set => Items.Add((key, value));
    }
}

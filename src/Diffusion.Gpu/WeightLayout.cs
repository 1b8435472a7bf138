using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu;

/// <summary>How a weight file orders the values of a parameter.</summary>
internal enum FileOrder
{
    /// <summary>As in memory.</summary>
    AsIs,

    /// <summary>A filter [K, R, S, C] is filed as [K, C, R, S].</summary>
    Filter,

    /// <summary>A filter [K, R, S, C] whose stride equals its size is filed as the 1×1 filter [K, C·R·S, 1, 1] of folded pixels.</summary>
    FoldedFilter,

    /// <summary>A gain [C] is filed as [1, C, 1, 1].</summary>
    ChannelGain,
}

/// <summary>One tensor of a weight file, and how it lies in memory.</summary>
public sealed class WeightSlot
{
    private readonly FileOrder _order;

    internal WeightSlot(string name, Shape shape, FileOrder order, bool trainable)
    {
        Name = name;
        Shape = shape;
        IsTrainable = trainable;
        _order = order;
        FileShape = order switch
        {
            FileOrder.Filter => [shape[0], shape[3], shape[1], shape[2]],
            FileOrder.FoldedFilter => [shape[0], shape[3] * shape[1] * shape[2], 1, 1],
            FileOrder.ChannelGain => [1, shape[0], 1, 1],
            _ => shape,
        };
    }

    /// <summary>The dotted name, as PyTorch's state_dict has it.</summary>
    public string Name { get; }

    /// <summary>The extents in memory.</summary>
    public Shape Shape { get; }

    /// <summary>The extents in a file: PyTorch's.</summary>
    public Shape FileShape { get; }

    /// <summary>Whether an optimiser changes the values.</summary>
    public bool IsTrainable { get; }

    /// <summary>Puts values from memory order into file order.</summary>
    /// <exception cref="ShapeException">The number of values is another than the shape's.</exception>
    public float[] ToFile(ReadOnlySpan<float> values) => Reorder(values, toFile: true);

    /// <summary>Puts values from file order into memory order.</summary>
    /// <exception cref="ShapeException">The number of values is another than the shape's.</exception>
    public float[] FromFile(ReadOnlySpan<float> values) => Reorder(values, toFile: false);

    private float[] Reorder(ReadOnlySpan<float> values, bool toFile)
    {
        if (values.Length != Shape.Count)
            throw new ShapeException(toFile ? nameof(ToFile) : nameof(FromFile), Name, $"{values.Length} values", $"{Shape.Count}");
        var reordered = values.ToArray();
        if (_order is FileOrder.AsIs or FileOrder.ChannelGain)
            return reordered;
        // One filter after the other: [taps, C] in memory, [C, taps] in the file.
        int taps = Shape[1] * Shape[2], channels = Shape[3], size = taps * channels;
        for (int start = 0; start < values.Length; start += size)
        {
            for (int tap = 0; tap < taps; tap++)
            {
                for (int channel = 0; channel < channels; channel++)
                {
                    int memory = start + (tap * channels) + channel, file = start + (channel * taps) + tap;
                    reordered[toFile ? file : memory] = values[toFile ? memory : file];
                }
            }
        }
        return reordered;
    }
}

/// <summary>The tensors of a model's weight file, in PyTorch's named_parameters order.</summary>
public sealed class WeightLayout
{
    private readonly Dictionary<string, WeightSlot> _byName;

    internal WeightLayout(IReadOnlyList<WeightSlot> slots)
    {
        Slots = slots;
        _byName = slots.ToDictionary(slot => slot.Name, StringComparer.Ordinal);
    }

    /// <summary>The tensors.</summary>
    public IReadOnlyList<WeightSlot> Slots { get; }

    /// <summary>Number of values of all tensors.</summary>
    public long Count => Slots.Sum(slot => slot.Shape.Count);

    /// <summary>The tensor of a name, or null.</summary>
    public WeightSlot? Find(string name) => _byName.GetValueOrDefault(name);
}

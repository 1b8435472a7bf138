using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu;

/// <summary>Moves a network's weights to and from tensors in PyTorch's names, shapes and order of values.</summary>
public static class UnetWeights
{
    /// <summary>Describes the weights for a writer; each tensor is fetched when it is written.</summary>
    /// <param name="unet">The network.</param>
    /// <param name="prefix">Put before every name.</param>
    public static IEnumerable<TensorSource> Save(Unet unet, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(unet);
        return unet.Layout.Slots.Zip(unet.Parameters.All, (slot, parameter) => Source(prefix, slot, parameter.Value));
    }

    /// <summary>Describes an optimiser's state, laid out like the trainable weights, under the weights' names and shapes.</summary>
    /// <param name="unet">The network.</param>
    /// <param name="state">Made by <see cref="ParameterSet.NewState"/>.</param>
    /// <param name="prefix">Put before every name.</param>
    public static IEnumerable<TensorSource> SaveState(Unet unet, Tensor state, string prefix)
    {
        ArgumentNullException.ThrowIfNull(unet);
        return unet.Layout.Slots.Zip(unet.Parameters.All).Where(pair => pair.First.IsTrainable)
            .Select(pair => Source(prefix, pair.First, unet.Parameters.StateOf(state, pair.Second)));
    }

    /// <summary>Loads the weights from a file; nothing changes where a tensor does not fit.</summary>
    /// <param name="unet">The network.</param>
    /// <param name="file">An open file.</param>
    /// <param name="path">Its path, for messages.</param>
    /// <param name="prefix">Only names that begin so count, and the rest of them is compared.</param>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape; all are listed at once.</exception>
    public static void Load(Unet unet, SafetensorsReader file, string path, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(file);
        Load(unet, path, file.Entries, file.ReadSingles, prefix);
    }

    /// <summary>Loads the weights from any source; nothing changes where a tensor does not fit.</summary>
    /// <param name="unet">The network.</param>
    /// <param name="source">Where the tensors come from, for messages.</param>
    /// <param name="entries">What there is.</param>
    /// <param name="read">Returns a tensor's values by its full name.</param>
    /// <param name="prefix">Only names that begin so count, and the rest of them is compared.</param>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape; all are listed at once.</exception>
    public static void Load(Unet unet, string source, IEnumerable<TensorEntry> entries, Func<string, float[]> read, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(unet);
        ArgumentNullException.ThrowIfNull(entries);
        ArgumentNullException.ThrowIfNull(read);
        Check(unet.Layout.Slots, source, entries, prefix);
        foreach (var (slot, parameter) in unet.Layout.Slots.Zip(unet.Parameters.All))
            parameter.Value.CopyFrom(slot.FromFile(read(prefix + slot.Name)));
        unet.Parameters.MarkChanged();
    }

    /// <summary>Loads an optimiser's state, laid out like the trainable weights; nothing changes where a tensor does not fit.</summary>
    /// <param name="unet">The network.</param>
    /// <param name="state">Made by <see cref="ParameterSet.NewState"/>.</param>
    /// <param name="file">An open file.</param>
    /// <param name="path">Its path, for messages.</param>
    /// <param name="prefix">Only names that begin so count, and the rest of them is compared.</param>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape; all are listed at once.</exception>
    public static void LoadState(Unet unet, Tensor state, SafetensorsReader file, string path, string prefix)
    {
        ArgumentNullException.ThrowIfNull(unet);
        ArgumentNullException.ThrowIfNull(file);
        Check([.. unet.Layout.Slots.Where(slot => slot.IsTrainable)], path, file.Entries, prefix);
        foreach (var (slot, parameter) in unet.Layout.Slots.Zip(unet.Parameters.All).Where(pair => pair.First.IsTrainable))
            unet.Parameters.StateOf(state, parameter).CopyFrom(slot.FromFile(file.ReadSingles(prefix + slot.Name)));
    }

    /// <summary>Compares what a file has with what a network wants.</summary>
    /// <param name="layout">What the network wants: <see cref="Unet.LayoutOf"/>.</param>
    /// <param name="source">Where the tensors come from, for messages.</param>
    /// <param name="entries">What there is.</param>
    /// <param name="prefix">Only names that begin so count, and the rest of them is compared.</param>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape; all are listed at once.</exception>
    public static void Check(WeightLayout layout, string source, IEnumerable<TensorEntry> entries, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentNullException.ThrowIfNull(entries);
        Check(layout.Slots, source, entries, prefix);
    }

    private static TensorSource Source(string prefix, WeightSlot slot, Tensor values)
        => TensorSource.Singles(prefix + slot.Name, slot.FileShape.Extents.ToArray(), () => slot.ToFile(values.ToArray()));

    private static void Check(IReadOnlyList<WeightSlot> slots, string source, IEnumerable<TensorEntry> entries, string prefix)
    {
        var found = entries.Where(e => e.Name.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(e => e.Name[prefix.Length..], StringComparer.Ordinal);
        var wanted = slots.Select(slot => slot.Name).ToHashSet(StringComparer.Ordinal);
        var faults = new List<string>();
        Note(faults, "missing", slots.Where(slot => !found.ContainsKey(slot.Name)).Select(slot => $"{slot.Name} {slot.FileShape}"));
        Note(faults, "left over", found.Keys.Where(name => !wanted.Contains(name)));
        Note(faults, "of another shape", slots.Where(slot => found.TryGetValue(slot.Name, out var entry)
                && !slot.FileShape.Extents.SequenceEqual(entry.Shape.ToArray()))
            .Select(slot => $"{slot.Name} [{string.Join(", ", found[slot.Name].Shape)}] instead of {slot.FileShape}"));
        Note(faults, "no floats", slots.Where(slot => found.TryGetValue(slot.Name, out var entry) && !entry.Type.IsFloat())
            .Select(slot => $"{slot.Name} holds {found[slot.Name].Type}"));
        if (faults.Count > 0)
        {
            throw new WeightsException(source, null, string.Join("; ", faults),
                $"expected the {slots.Count} tensors of this U-Net{(prefix.Length > 0 ? $" under '{prefix}'" : "")}: "
                + "check that the options (dim, dim-mults, channels, attention, time embedding) are the ones it was trained with");
        }
    }

    private static void Note(List<string> faults, string fault, IEnumerable<string> tensors)
    {
        string[] all = [.. tensors];
        if (all.Length > 0)
            faults.Add($"{all.Length} {fault} ({string.Join(", ", all)})");
    }
}

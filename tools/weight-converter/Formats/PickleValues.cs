using System.Globalization;
using System.Numerics;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>What kind of sequence a pickle made.</summary>
internal enum SequenceKind
{
    List,
    Tuple,
    Set,
}

/// <summary>A list, tuple or set.</summary>
internal sealed class PickleSequence(SequenceKind kind)
{
    public SequenceKind Kind => kind;

    public List<object?> Items { get; } = [];
}

/// <summary>A dictionary, ordered or not; whole-number keys are kept as their decimal text.</summary>
internal sealed class PickleDictionary
{
    public OrderedDictionary<string, object?> Items { get; } = new(StringComparer.Ordinal);

    /// <summary>Adds an entry.</summary>
    /// <exception cref="PickleFault">The key is neither text nor a whole number, too long, or there already.</exception>
    public void Add(object? key, object? value)
    {
        string name = key switch
        {
            string text when text.Length <= ValueTree.LongestName => text,
            string text => throw new PickleFault($"a dictionary key of {text.Length} characters",
                $"names have at most {ValueTree.LongestName}: the file is damaged or hostile"),
            long number => number.ToString(CultureInfo.InvariantCulture),
            _ => throw new PickleFault($"a dictionary key that is {PickleFault.Kind(key)}", "expected text or a whole number"),
        };
        if (!Items.TryAdd(name, value))
            throw new PickleFault($"a dictionary has the key '{name}' twice", "the file is damaged: fetch or save it again");
    }
}

/// <summary>A block of elements in the file that tensors look at.</summary>
/// <param name="Key">Its name in the file.</param>
/// <param name="Type">Type of the elements.</param>
/// <param name="Count">Number of elements.</param>
/// <param name="First">Where a view of another storage begins in it, in elements.</param>
internal sealed record TorchStorage(string Key, TorchType Type, long Count, long First = 0);

/// <summary>A tensor as the file describes it; its geometry lies within its storage.</summary>
/// <param name="Storage">Where the elements lie.</param>
/// <param name="Type">Type of the elements; another than the storage's where that is untyped.</param>
/// <param name="Offset">Of the first element, in elements from the storage's first.</param>
/// <param name="Shape">Sizes, outermost first.</param>
/// <param name="Strides">Steps between neighbours of each axis, in elements.</param>
internal sealed record TorchTensor(TorchStorage Storage, TorchType Type, long Offset, int[] Shape, long[] Strides)
{
    /// <summary>Number of elements.</summary>
    public long Count { get; } = Shape.Aggregate(1L, (count, size) => count * size);
}

/// <summary>A fault in a pickle; the machine adds where it is.</summary>
internal sealed class PickleFault(string got, string wanted) : Exception(got)
{
    public const string Damaged = "the file is damaged or hostile: fetch or save it again";

    public string Wanted => wanted;

    /// <summary>What a value is, in words.</summary>
    public static string Kind(object? value) => value switch
    {
        null => "None",
        bool => "a truth value",
        long or BigInteger => "a whole number",
        double => "a number",
        string => "text",
        byte[] => "bytes",
        PickleSequence sequence => $"a {sequence.Kind.ToString().ToLowerInvariant()}",
        PickleDictionary => "a dictionary",
        TorchTensor => "a tensor",
        TorchStorage => "a storage",
        TorchGlobal => "a function or class",
        _ => "nothing known",
    };
}

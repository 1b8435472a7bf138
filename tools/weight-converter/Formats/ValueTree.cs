using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Lists the leaves of nested containers under dotted names: ema.ema_model.init_conv.weight, opt.state.0.exp_avg.</summary>
/// <remarks>Bounded: a container inside itself, deep nesting and the same containers over and over are refused.</remarks>
internal sealed class ValueTree
{
    /// <summary>Longest name of an entry, in characters.</summary>
    public const int LongestName = 4096;

    private const int Deepest = 64;
    private const int MostEntries = 1 << 20;
    private const long MostLetters = 1 << 24;
    private readonly string _path;
    private readonly HashSet<object> _open = new(ReferenceEqualityComparer.Instance);
    private long _letters;
    private int _entries;

    private ValueTree(string path) => _path = path;

    /// <summary>Tensors with their names, in the order of the file.</summary>
    public List<(string Name, TorchTensor Tensor)> Tensors { get; } = [];

    /// <summary>Every other leaf with its name: null, truth values, numbers, text, bytes, and containers without entries.</summary>
    public List<(string Name, object? Value)> Scalars { get; } = [];

    /// <summary>Walks the containers below a value.</summary>
    /// <exception cref="WeightsException">They are nested too deeply, contain themselves, or have too many entries.</exception>
    public static ValueTree Of(string path, object? root)
    {
        var tree = new ValueTree(path);
        tree.Visit("", root);
        return tree;
    }

    private void Visit(string name, object? value)
    {
        _letters += name.Length;
        if (++_entries > MostEntries || _letters > MostLetters)
            throw Fault($"the saved object has more than {MostEntries} entries");
        switch (value)
        {
            case TorchTensor tensor:
                Tensors.Add((name, tensor));
                break;
            case PickleDictionary { Items.Count: > 0 } dictionary:
                Enter(name, dictionary);
                foreach (var (key, item) in dictionary.Items)
                    Visit(Join(name, key), item);
                _open.Remove(dictionary);
                break;
            case PickleSequence { Items.Count: > 0 } sequence:
                Enter(name, sequence);
                for (int i = 0; i < sequence.Items.Count; i++)
                    Visit(Join(name, $"{i}"), sequence.Items[i]);
                _open.Remove(sequence);
                break;
            default:
                Scalars.Add((name, value));
                break;
        }
    }

    private void Enter(string name, object container)
    {
        if (_open.Count == Deepest)
            throw Fault($"'{Short(name)}' is nested more than {Deepest} deep");
        if (!_open.Add(container))
            throw Fault($"'{Short(name)}' contains itself");
    }

    private static string Join(string name, string key) => name.Length == 0 ? key : $"{name}.{key}";

    private static string Short(string name) => name.Length <= 100 ? name : name[..100] + "…";

    private WeightsException Fault(string got)
        => new(_path, null, got, "the file is damaged or hostile: in PyTorch, save the state_dict() alone");
}

using System.Collections.Frozen;
using System.Text;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A name that a pickle may mention.</summary>
/// <param name="Name">Module and name.</param>
/// <param name="Run">What a call of it makes of the arguments; null for a name that is only mentioned.</param>
/// <param name="Type">The element type that the name stands for, as a storage's class or as itself.</param>
internal sealed record TorchGlobal(string Name, Func<List<object?>, object?>? Run = null, TorchType? Type = null);

/// <summary>The whole list of globals that a pickle may mention; every other name is refused.</summary>
/// <remarks>Sources: torch/_utils.py (rebuild functions and their arguments), torch/serialization.py (persistent identifiers),
/// torch/_weights_only_unpickler.py (what weights_only accepts).</remarks>
internal static class TorchGlobals
{
    /// <summary>Stands for an untyped storage, whose length counts bytes.</summary>
    public static readonly TorchGlobal UntypedStorage = new("torch.storage.UntypedStorage");

    private const int MostAxes = 64;
    private const string Remedy = "only tensors and plain containers are read, and nothing that a file brings is run: "
        + "in PyTorch, load the file and save the model's state_dict() instead";

    private static readonly FrozenDictionary<string, TorchGlobal> Allowed = new TorchGlobal[]
    {
        new("collections.OrderedDict", OrderedDict),
        new("collections.Counter", OrderedDict),
        new("builtins.set", Set),
        new("__builtin__.set", Set),
        new("builtins.frozenset", Set),
        new("__builtin__.frozenset", Set),
        new("builtins.bytes", arguments => arguments.Count == 0 ? Array.Empty<byte>() : throw Wrong("bytes")),
        new("__builtin__.bytes", arguments => arguments.Count == 0 ? Array.Empty<byte>() : throw Wrong("bytes")),
        new("_codecs.encode", Encode),
        new("torch.Size", Size),
        new("torch.device", Device),
        new("torch.Tensor"),
        new("torch.nn.parameter.Parameter"),
        new("torch.nn.parameter.Buffer"),
        new("torch._utils._rebuild_tensor", RebuildTensor),
        new("torch._utils._rebuild_tensor_v2", RebuildTensor),
        new("torch._utils._rebuild_tensor_v3", RebuildTypedTensor),
        new("torch._utils._rebuild_parameter", RebuildParameter),
        new("torch._utils._rebuild_parameter_with_state", RebuildParameter),
        new("torch._tensor._rebuild_from_type_v2", RebuildFromType),
        UntypedStorage,
    }.ToFrozenDictionary(global => global.Name, StringComparer.Ordinal);

    /// <summary>The global of a name.</summary>
    /// <exception cref="PickleFault">It is not on the list.</exception>
    public static TorchGlobal Find(string module, string name)
    {
        string full = $"{module}.{name}";
        if (Allowed.GetValueOrDefault(full) is { } global)
            return global;
        var type = module is "torch" or "torch.cuda" ? TorchType.OfStorage(name) ?? TorchType.Named(name) : null;
        return type is null ? throw new PickleFault($"it asks for {full}", Remedy) : new TorchGlobal(full, Type: type);
    }

    /// <summary>Makes the value that a call stands for.</summary>
    /// <exception cref="PickleFault">The name cannot be called, or the arguments are none that torch writes.</exception>
    public static object? Call(TorchGlobal global, List<object?> arguments)
        => global.Run is { } run ? run(arguments) : throw new PickleFault($"it makes an object of {global.Name}", Remedy);

    private static PickleFault Wrong(string what) => new($"arguments that {what} does not take", PickleFault.Damaged);

    private static PickleDictionary OrderedDict(List<object?> arguments)
    {
        var dictionary = new PickleDictionary();
        switch (arguments)
        {
            case []:
                return dictionary;
            case [PickleDictionary source]:
                foreach (var (key, value) in source.Items)
                    dictionary.Add(key, value);
                return dictionary;
            case [PickleSequence pairs]:
                foreach (object? pair in pairs.Items)
                {
                    if (pair is not PickleSequence { Items: [var key, var value] })
                        throw Wrong("a dictionary");
                    dictionary.Add(key, value);
                }
                return dictionary;
            default:
                throw Wrong("a dictionary");
        }
    }

    private static PickleSequence Set(List<object?> arguments)
    {
        var set = new PickleSequence(SequenceKind.Set);
        set.Items.AddRange(arguments switch
        {
            [] => [],
            [PickleSequence items] => items.Items,
            _ => throw Wrong("a set"),
        });
        return set;
    }

    /// <summary>Protocol 2 has no bytes: it writes them as text whose letters are below 256.</summary>
    private static byte[] Encode(List<object?> arguments)
        => arguments is [string text, "latin1" or "latin-1"] && text.All(letter => letter < 256)
            ? Encoding.Latin1.GetBytes(text)
            : throw Wrong("an encoding of bytes");

    private static PickleSequence Size(List<object?> arguments)
        => arguments is [PickleSequence { Kind: SequenceKind.Tuple } sizes] ? sizes : throw Wrong("a size");

    private static string Device(List<object?> arguments) => arguments switch
    {
        [string name] => name,
        [string name, long index] => $"{name}:{index}",
        _ => throw Wrong("a device"),
    };

    private static object? RebuildParameter(List<object?> arguments)
        => arguments is [TorchTensor tensor, ..] ? tensor : throw Wrong("a parameter");

    private static object? RebuildFromType(List<object?> arguments)
        => arguments is [TorchGlobal rebuild, TorchGlobal { Run: null }, PickleSequence inner, ..]
            && rebuild.Name.StartsWith("torch._utils._rebuild_", StringComparison.Ordinal)
                ? Call(rebuild, inner.Items)
                : throw Wrong("a tensor of a class of its own");

    private static TorchTensor RebuildTensor(List<object?> arguments)
        => Tensor(arguments, type: null, metadata: arguments.Count > 6 ? arguments[6] : null);

    private static TorchTensor RebuildTypedTensor(List<object?> arguments)
        => arguments is [_, _, _, _, _, _, TorchGlobal { Type: { } type }, ..]
            ? Tensor(arguments, type, metadata: arguments.Count > 7 ? arguments[7] : null)
            : throw Wrong("a tensor of an untyped storage");

    private static TorchTensor Tensor(List<object?> arguments, TorchType? type, object? metadata)
    {
        if (arguments is not [TorchStorage storage, long offset, PickleSequence sizes, PickleSequence strides, ..])
            throw Wrong("a tensor");
        if (metadata is PickleDictionary { Items.Count: > 0 } && ((PickleDictionary)metadata).Items.Any(item => item.Value is true))
            throw new PickleFault("a tensor that is stored conjugated or negated", "in PyTorch, save tensor.resolve_conj().resolve_neg()");
        type ??= storage.Type;
        long available = storage.Count * storage.Type.Size / type.Size;
        if (sizes.Items.Count > MostAxes || sizes.Items.Count != strides.Items.Count || offset < 0)
            throw new PickleFault($"a tensor of {sizes.Items.Count} sizes, {strides.Items.Count} strides and offset {offset}",
                PickleFault.Damaged);
        var shape = new int[sizes.Items.Count];
        var steps = new long[shape.Length];
        long count = 1;
        Int128 last = offset;
        for (int axis = 0; axis < shape.Length; axis++)
        {
            if (sizes.Items[axis] is not (long size and >= 0 and <= int.MaxValue) || strides.Items[axis] is not (long stride and >= 0))
            {
                throw new PickleFault($"a tensor with {Show(sizes.Items[axis])} elements, {Show(strides.Items[axis])} apart, along an axis",
                    $"expected 0 to {int.MaxValue} elements and no negative stride: {PickleFault.Damaged}");
            }
            shape[axis] = (int)size;
            steps[axis] = stride;
            if (size != 0 && count > (long.MaxValue >> 8) / size)
                throw new PickleFault($"a tensor of shape [{string.Join(", ", shape)}], too large for any file", PickleFault.Damaged);
            count *= size;
            last += (Int128)(size - 1) * stride;
        }
        if (count > 0 && last >= available)
        {
            throw new PickleFault($"a tensor of shape [{string.Join(", ", shape)}] reaches to element {last} "
                + $"of a storage that has {available}",
                PickleFault.Damaged);
        }
        return new TorchTensor(storage, type, offset, shape, steps);
    }

    private static string Show(object? value) => value is long number ? $"{number}" : PickleFault.Kind(value);
}

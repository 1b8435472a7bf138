using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Writes protocol 2 pickles of what <see cref="SavedDictionary"/> can hold, with torch's references to tensors.</summary>
/// <remarks>torch/_utils.py (_rebuild_tensor_v2, _rebuild_tensor_v3) and torch/serialization.py (persistent identifiers).</remarks>
internal sealed class PickleWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly Dictionary<string, int> _memo = new(StringComparer.Ordinal);
    private readonly Dictionary<TensorSource, string> _keys = new(ReferenceEqualityComparer.Instance);
    private readonly bool _legacy;

    private PickleWriter(bool legacy) => _legacy = legacy;

    /// <summary>The storages that the pickle refers to, in the order of their keys 0, 1, 2 ….</summary>
    public List<TensorSource> Storages { get; } = [];

    /// <summary>The pickle.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    /// <summary>Pickles a value.</summary>
    /// <param name="value">What to save.</param>
    /// <param name="legacy">True for references as they were before 1.6.</param>
    public static PickleWriter Write(object? value, bool legacy = false)
    {
        var writer = new PickleWriter(legacy);
        writer.Put(PickleOpcode.Proto, 2);
        writer.Value(value);
        writer.Put(PickleOpcode.Stop);
        return writer;
    }

    private void Value(object? value)
    {
        switch (value)
        {
            case null: Put(PickleOpcode.None); break;
            case bool truth: Put(truth ? PickleOpcode.Newtrue : PickleOpcode.Newfalse); break;
            case int number: Integer(number); break;
            case long number: Integer(number); break;
            case byte[] integer: Put(PickleOpcode.Long1, (byte)integer.Length); _bytes.Write(integer); break;
            case double number: Put(PickleOpcode.Binfloat); BinaryPrimitives.WriteDoubleBigEndian(Room(8), number); break;
            case string text: Text(text); break;
            case SavedDictionary dictionary: Dictionary(dictionary); break;
            case TensorSource tensor: Tensor(tensor); break;
            case List<object?> list: List(list); break;
            case object?[] tuple: Tuple(tuple); break;
            default: throw new ArgumentException($"a {value.GetType()} cannot be saved for torch", nameof(value));
        }
    }

    private void Put(PickleOpcode opcode, params ReadOnlySpan<byte> operand)
    {
        _bytes.Write([(byte)opcode]);
        _bytes.Write(operand);
    }

    private Span<byte> Room(int count)
    {
        var room = _bytes.GetSpan(count)[..count];
        _bytes.Advance(count);
        return room;
    }

    private void Integer(long number)
    {
        switch (number)
        {
            case >= 0 and <= byte.MaxValue:
                Put(PickleOpcode.Binint1, (byte)number);
                break;
            case >= 0 and <= ushort.MaxValue:
                Put(PickleOpcode.Binint2);
                BinaryPrimitives.WriteUInt16LittleEndian(Room(2), (ushort)number);
                break;
            case >= int.MinValue and <= int.MaxValue:
                Put(PickleOpcode.Binint);
                BinaryPrimitives.WriteInt32LittleEndian(Room(4), (int)number);
                break;
            default:
                Put(PickleOpcode.Long1, 8);
                BinaryPrimitives.WriteInt64LittleEndian(Room(8), number);
                break;
        }
    }

    /// <summary>Names that come again and again are written once.</summary>
    private void Memoised(string name, Action write)
    {
        if (_memo.TryGetValue(name, out int index))
        {
            Put(PickleOpcode.LongBinget);
            BinaryPrimitives.WriteInt32LittleEndian(Room(4), index);
            return;
        }
        write();
        Put(PickleOpcode.LongBinput);
        BinaryPrimitives.WriteInt32LittleEndian(Room(4), _memo.Count);
        _memo.Add(name, _memo.Count);
    }

    private void Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Put(PickleOpcode.Binunicode);
        BinaryPrimitives.WriteInt32LittleEndian(Room(4), bytes.Length);
        _bytes.Write(bytes);
    }

    private void Global(string module, string name) => Memoised($"{module}\n{name}\n", () =>
    {
        Put(PickleOpcode.Global);
        _bytes.Write(Encoding.ASCII.GetBytes($"{module}\n{name}\n"));
    });

    private void OrderedDict()
    {
        Global("collections", "OrderedDict");
        Put(PickleOpcode.EmptyTuple);
        Put(PickleOpcode.Reduce);
    }

    private void Dictionary(SavedDictionary dictionary)
    {
        if (dictionary.IsOrdered)
            OrderedDict();
        else
            Put(PickleOpcode.EmptyDict);
        Put(PickleOpcode.Mark);
        foreach (var (key, value) in dictionary.Items)
        {
            Value(key);
            Value(value);
        }
        Put(PickleOpcode.Setitems);
    }

    private void List(List<object?> list)
    {
        Put(PickleOpcode.EmptyList);
        Put(PickleOpcode.Mark);
        list.ForEach(Value);
        Put(PickleOpcode.Appends);
    }

    private void Tuple(IEnumerable<object?> items)
    {
        Put(PickleOpcode.Mark);
        foreach (object? item in items)
            Value(item);
        Put(PickleOpcode.Tuple);
    }

    private void Tensor(TensorSource tensor)
    {
        var type = TorchType.Of(tensor.Entry.Type);
        Global("torch._utils", type.Storage is null ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
        Put(PickleOpcode.Mark);
        Storage(tensor, type);
        Integer(0);
        int[] shape = [.. tensor.Entry.Shape];
        var strides = new long[shape.Length];
        for (long axis = shape.Length - 1, step = 1; axis >= 0; axis--)
        {
            strides[axis] = step;
            step *= Math.Max(1, shape[axis]);
        }
        Tuple(shape.Cast<object>());
        Tuple(strides.Cast<object>());
        Put(PickleOpcode.Newfalse);
        OrderedDict();
        if (type.Storage is null)
            Global("torch", type.Name);
        Put(PickleOpcode.Tuple);
        Put(PickleOpcode.Reduce);
    }

    private void Storage(TensorSource tensor, TorchType type)
    {
        if (!_keys.TryGetValue(tensor, out string? key))
        {
            _keys.Add(tensor, key = $"{Storages.Count}");
            Storages.Add(tensor);
        }
        Put(PickleOpcode.Mark);
        Memoised("storage", () => Text("storage"));
        // torch's reader of the legacy stream knows typed storages only; one of bytes serves.
        if (type.Storage is null && !_legacy)
            Global("torch.storage", "UntypedStorage");
        else
            Global("torch", type.Storage ?? TorchType.Byte.Storage!);
        Text(key);
        Memoised("cpu", () => Text("cpu"));
        Integer(type.Storage is null ? tensor.Entry.ByteLength : tensor.Entry.Count);
        if (_legacy)
            Put(PickleOpcode.None);
        Put(PickleOpcode.Tuple);
        Put(PickleOpcode.Binpersid);
    }
}

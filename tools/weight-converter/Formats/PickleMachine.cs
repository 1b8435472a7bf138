using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Reads a pickle of plain values and tensors; whatever else a pickle can ask for is refused by name.</summary>
/// <remarks>Nothing of the file is run: a global is an entry of the list in <see cref="TorchGlobals"/> or an error. Time and memory are
/// bounded: by the number of instructions, and by the bytes that the values made so far take.</remarks>
internal sealed class PickleMachine(PickleInput input, Func<PickleSequence, TorchStorage> storageOf)
{
    private const int MostInstructions = 20_000_000;
    private const int MostBytes = 64 << 20;
    private const int DeepestStack = 1 << 20;
    private const int LongestText = 1 << 24;
    private const int LongestInteger = 1 << 10;
    private const int LongestGlobal = 200;
    private static readonly UTF8Encoding Utf8 = new(false, throwOnInvalidBytes: true);
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly List<object?> _memo = [];
    private long _instructions;
    private long _bytes;

    /// <summary>Reads one pickle up to its STOP.</summary>
    /// <exception cref="WeightsException">The pickle is damaged, or asks for something that is not plain data.</exception>
    public object? Load()
    {
        _stack.Clear();
        _marks.Clear();
        _memo.Clear();
        long at = input.Position;
        var opcode = PickleOpcode.Proto;
        try
        {
            opcode = (PickleOpcode)input.ReadByte();
            if (opcode != PickleOpcode.Proto || input.ReadByte() is < 2 or > 5)
                throw new PickleFault("no pickle of protocol 2 to 5 begins here", "torch writes protocol 2 and up: " + PickleFault.Damaged);
            while (true)
            {
                at = input.Position;
                opcode = (PickleOpcode)input.ReadByte();
                if (opcode == PickleOpcode.Stop)
                    return Pop();
                if (++_instructions > MostInstructions)
                    throw new PickleFault($"more than {MostInstructions} instructions", PickleFault.Damaged);
                Step(opcode);
            }
        }
        catch (PickleFault fault)
        {
            throw input.Fault(Name(opcode), at, fault.Message, fault.Wanted, fault);
        }
        catch (DecoderFallbackException error)
        {
            throw input.Fault(Name(opcode), at, "text that is not UTF-8", PickleFault.Damaged, error);
        }
    }

    private static string Name(PickleOpcode opcode)
        => Enum.IsDefined(opcode) ? opcode.ToString().ToUpperInvariant() : $"0x{(byte)opcode:X2}";

    private void Step(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.Proto: Refuse(input.ReadByte() is < 2 or > 5, "an unknown protocol"); break;
            case PickleOpcode.Frame: Refuse(BinaryPrimitives.ReadInt64LittleEndian(input.Read(8)) < 0, "a frame of negative length"); break;
            case PickleOpcode.Mark: Refuse(_marks.Count == DeepestStack, "too many marks"); _marks.Add(_stack.Count); break;
            case PickleOpcode.Pop: Pop(); break;
            case PickleOpcode.PopMark: PopToMark(); break;
            case PickleOpcode.Dup: Push(Top()); break;

            case PickleOpcode.None: Push(null); break;
            case PickleOpcode.Newtrue: Push(true); break;
            case PickleOpcode.Newfalse: Push(false); break;
            case PickleOpcode.Binint: Push((long)BinaryPrimitives.ReadInt32LittleEndian(input.Read(4)), 24); break;
            case PickleOpcode.Binint1: Push((long)input.ReadByte(), 24); break;
            case PickleOpcode.Binint2: Push((long)BinaryPrimitives.ReadUInt16LittleEndian(input.Read(2)), 24); break;
            case PickleOpcode.Long1: PushInteger(input.ReadByte()); break;
            case PickleOpcode.Long4: PushInteger(BinaryPrimitives.ReadInt32LittleEndian(input.Read(4))); break;
            case PickleOpcode.Binfloat: Push(BinaryPrimitives.ReadDoubleBigEndian(input.Read(8)), 24); break;
            case PickleOpcode.ShortBinunicode: PushText(input.ReadByte()); break;
            case PickleOpcode.Binunicode: PushText(BinaryPrimitives.ReadUInt32LittleEndian(input.Read(4))); break;
            case PickleOpcode.Binunicode8: PushText(BinaryPrimitives.ReadInt64LittleEndian(input.Read(8))); break;
            case PickleOpcode.ShortBinstring: PushText(input.ReadByte()); break;
            case PickleOpcode.Binstring: PushText(BinaryPrimitives.ReadInt32LittleEndian(input.Read(4))); break;
            case PickleOpcode.ShortBinbytes: PushBytes(input.ReadByte()); break;
            case PickleOpcode.Binbytes: PushBytes(BinaryPrimitives.ReadUInt32LittleEndian(input.Read(4))); break;
            case PickleOpcode.Binbytes8 or PickleOpcode.Bytearray8: PushBytes(BinaryPrimitives.ReadInt64LittleEndian(input.Read(8))); break;

            case PickleOpcode.EmptyList: Push(new PickleSequence(SequenceKind.List), 96); break;
            case PickleOpcode.EmptyTuple: Push(new PickleSequence(SequenceKind.Tuple), 96); break;
            case PickleOpcode.EmptySet: Push(new PickleSequence(SequenceKind.Set), 96); break;
            case PickleOpcode.EmptyDict: Push(new PickleDictionary(), 200); break;
            case PickleOpcode.Tuple: PushSequence(SequenceKind.Tuple, PopToMark()); break;
            case PickleOpcode.Tuple1: PushSequence(SequenceKind.Tuple, PopLast(1)); break;
            case PickleOpcode.Tuple2: PushSequence(SequenceKind.Tuple, PopLast(2)); break;
            case PickleOpcode.Tuple3: PushSequence(SequenceKind.Tuple, PopLast(3)); break;
            case PickleOpcode.List: PushSequence(SequenceKind.List, PopToMark()); break;
            case PickleOpcode.Frozenset: PushSequence(SequenceKind.Set, PopToMark()); break;
            case PickleOpcode.Dict: var items = PopToMark(); Push(new PickleDictionary(), 200); SetItems(items); break;
            case PickleOpcode.Append: AddItems(SequenceKind.List, PopLast(1)); break;
            case PickleOpcode.Appends: AddItems(SequenceKind.List, PopToMark()); break;
            case PickleOpcode.Additems: AddItems(SequenceKind.Set, PopToMark()); break;
            case PickleOpcode.Setitem: SetItems(PopLast(2)); break;
            case PickleOpcode.Setitems: SetItems(PopToMark()); break;

            case PickleOpcode.Binget: Push(Recall(input.ReadByte())); break;
            case PickleOpcode.LongBinget: Push(Recall(BinaryPrimitives.ReadUInt32LittleEndian(input.Read(4)))); break;
            case PickleOpcode.Binput: Remember(input.ReadByte()); break;
            case PickleOpcode.LongBinput: Remember(BinaryPrimitives.ReadUInt32LittleEndian(input.Read(4))); break;
            case PickleOpcode.Memoize: Remember((uint)_memo.Count); break;

            case PickleOpcode.Global: Push(TorchGlobals.Find(input.ReadLine(LongestGlobal), input.ReadLine(LongestGlobal))); break;
            case PickleOpcode.StackGlobal: StackGlobal(); break;
            case PickleOpcode.Reduce or PickleOpcode.Newobj: Call(); break;
            case PickleOpcode.Build: SetState(); break;
            case PickleOpcode.Binpersid: Push(storageOf(Tuple(Pop(), "a reference to a storage")), 120); break;
            default:
                throw new PickleFault(Enum.IsDefined(opcode) ? "an instruction that torch does not write" : "no instruction of pickle",
                    "only tensors and plain containers are read: " + PickleFault.Damaged);
        }
    }

    private static void Refuse(bool condition, string got)
    {
        if (condition)
            throw new PickleFault(got, PickleFault.Damaged);
    }

    private static PickleSequence Tuple(object? value, string what) => value is PickleSequence { Kind: SequenceKind.Tuple } tuple
        ? tuple
        : throw new PickleFault($"{what} is {PickleFault.Kind(value)} instead of a tuple", PickleFault.Damaged);

    private void Push(object? value, int bytes = 0)
    {
        Charge(bytes);
        Refuse(_stack.Count == DeepestStack, $"more than {DeepestStack} values on the stack");
        _stack.Add(value);
    }

    private void Charge(long bytes)
    {
        _bytes += bytes;
        Refuse(_bytes > MostBytes, $"values of more than {MostBytes >> 20} MiB beside the tensors");
    }

    private object? Top()
    {
        Refuse(_stack.Count <= (_marks.Count > 0 ? _marks[^1] : 0), "it takes a value that was never made");
        return _stack[^1];
    }

    private object? Pop()
    {
        object? value = Top();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private object?[] PopLast(int count)
    {
        Refuse(_stack.Count - count < (_marks.Count > 0 ? _marks[^1] : 0), "it takes a value that was never made");
        return Cut(_stack.Count - count);
    }

    private object?[] PopToMark()
    {
        Refuse(_marks.Count == 0, "there is no mark");
        int mark = _marks[^1];
        _marks.RemoveAt(_marks.Count - 1);
        return Cut(mark);
    }

    private object?[] Cut(int start)
    {
        object?[] values = [.. _stack[start..]];
        _stack.RemoveRange(start, values.Length);
        return values;
    }

    private void PushInteger(int length)
    {
        Refuse(length is < 0 or > LongestInteger, $"a whole number of {length} bytes");
        var value = new BigInteger(input.Read(length));
        Push(value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value, 64 + length);
    }

    private void PushText(long length)
    {
        Refuse(length > LongestText, $"text of {length} bytes");
        Charge(2 * Math.Max(0, length));
        Push(Utf8.GetString(input.Read(length)), 32);
    }

    private void PushBytes(long length)
    {
        Refuse(length > LongestText, $"{length} bytes outside of a tensor");
        Charge(Math.Max(0, length));
        Push(input.Read(length).ToArray(), 32);
    }

    private void PushSequence(SequenceKind kind, object?[] items)
    {
        var sequence = new PickleSequence(kind);
        sequence.Items.AddRange(items);
        Push(sequence, 96 + (8 * items.Length));
    }

    private void AddItems(SequenceKind kind, object?[] items)
    {
        if (Top() is not PickleSequence sequence || sequence.Kind != kind)
            throw new PickleFault($"items are added to {PickleFault.Kind(_stack[^1])}", PickleFault.Damaged);
        Charge(16L * items.Length);
        sequence.Items.AddRange(items);
    }

    private void SetItems(object?[] items)
    {
        if (Top() is not PickleDictionary dictionary || items.Length % 2 != 0)
            throw new PickleFault($"{items.Length} keys and values are put into {PickleFault.Kind(_stack[^1])}", PickleFault.Damaged);
        Charge(64L * items.Length);
        for (int i = 0; i < items.Length; i += 2)
            dictionary.Add(items[i], items[i + 1]);
    }

    private object? Recall(uint index)
    {
        Refuse(index >= _memo.Count || _memo[(int)index] is Absent, $"it recalls value {index}, which was never remembered");
        return _memo[(int)index];
    }

    private void Remember(uint index)
    {
        object? value = Top();
        // Indices grow with the instructions, so a list holds them; a jump far ahead is a lie.
        Refuse(index > _instructions + 1000, $"it remembers a value as number {index}");
        Charge(8 * Math.Max(0, 1 + (long)index - _memo.Count));
        while (_memo.Count <= index)
            _memo.Add(Absent.Value);
        _memo[(int)index] = value;
    }

    private void StackGlobal()
    {
        object?[] names = PopLast(2);
        Push(names is [string { Length: <= LongestGlobal } module, string { Length: <= LongestGlobal } name]
            ? TorchGlobals.Find(module, name)
            : throw new PickleFault("a global whose name is no text", PickleFault.Damaged));
    }

    private void Call()
    {
        object?[] call = PopLast(2);
        var arguments = Tuple(call[1], "a list of arguments");
        // A call may copy its first argument.
        Charge(arguments.Items is [var first, ..] ? SizeOf(first) : 0);
        Push(call[0] is TorchGlobal global
            ? TorchGlobals.Call(global, arguments.Items)
            : throw new PickleFault($"{PickleFault.Kind(call[0])} is called", PickleFault.Damaged), 200);
    }

    private static long SizeOf(object? value) => value switch
    {
        PickleSequence sequence => 16L * sequence.Items.Count,
        PickleDictionary dictionary => 64L * dictionary.Items.Count,
        string text => text.Length,
        _ => 0,
    };

    /// <summary>A state dictionary carries an attribute with its modules' versions, which nothing here needs.</summary>
    private void SetState()
    {
        object? state = Pop();
        if (Top() is not PickleDictionary || state is not PickleDictionary)
        {
            throw new PickleFault($"attributes of {PickleFault.Kind(_stack[^1])} are set",
                "only tensors and plain containers are read: in PyTorch, save the model's state_dict()");
        }
    }

    /// <summary>Stands in the memo where nothing was remembered.</summary>
    private sealed class Absent
    {
        public static readonly Absent Value = new();
    }
}

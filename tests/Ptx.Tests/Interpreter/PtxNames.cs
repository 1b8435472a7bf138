using System.Globalization;
using System.Text.RegularExpressions;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What the names of a kernel's text stand for: rows of registers, bytes of parameters and of shared memory.</summary>
internal sealed partial class PtxNames
{
    private readonly Stack<Dictionary<string, int>> _registers = new([new Dictionary<string, int>()]);
    private readonly List<PtxParameter> _parameters = [];
    private readonly Dictionary<string, int> _memory = [];
    private readonly Dictionary<ulong, int> _constants = [];
    private readonly Dictionary<string, int> _special = [];
    private readonly List<(string Name, int Alignment)> _dynamicShared = [];
    private int _rows;
    private int _sharedBytes;
    private int _localBytes;

    /// <summary>Size of a type: b32, f64, ...</summary>
    public static int BytesOf(string type) => int.Parse(type.AsSpan(1), CultureInfo.InvariantCulture) / 8;

    public void OpenScope() => _registers.Push([]);

    public void CloseScope() => _registers.Pop();

    /// <summary>.reg .b32 %r&lt;8&gt;, s;</summary>
    public void DeclareRegisters(string statement)
    {
        foreach (Match name in Registers().Matches(statement))
        {
            if (!name.Groups[2].Success)
                _registers.Peek().Add(name.Groups[1].Value, _rows++);
            else
            {
                int count = int.Parse(name.Groups[2].Value, CultureInfo.InvariantCulture);
                for (int i = 0; i < count; i++)
                    _registers.Peek().Add(name.Groups[1].Value + i.ToString(CultureInfo.InvariantCulture), _rows++);
            }
        }
    }

    /// <summary>.shared .align 16 .b8 name[1024]; and .local the same way.</summary>
    public void DeclareMemory(string statement)
    {
        var memory = Memory().Match(statement);
        if (!memory.Success)
            throw new PtxFaultException("not a declaration of memory");
        int alignment = int.Parse(memory.Groups[2].Value, CultureInfo.InvariantCulture);
        bool isShared = memory.Groups[1].Value == "shared";
        ref int end = ref isShared ? ref _sharedBytes : ref _localBytes;
        end = Aligned(end, alignment);
        _memory.Add(memory.Groups[3].Value, (isShared ? PtxKernel.SharedBase : LocalMemory.Base) + end);
        end += int.Parse(memory.Groups[4].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>Memory that the launch gives: it lies behind all that is reserved.</summary>
    public void DeclareDynamicShared(string name, int alignment) => _dynamicShared.Add((name, alignment));

    public void DeclareParameter(string name, int bytes, int alignment)
    {
        int offset = _parameters.Count == 0 ? 0 : _parameters[^1].Offset + _parameters[^1].Bytes;
        _parameters.Add(new PtxParameter(name, Aligned(offset, alignment), bytes));
    }

    public PtxKernel ToKernel(string name, IReadOnlyList<PtxInstruction> code)
        => new(name, _parameters, code, _rows, _constants, _special, _sharedBytes, _localBytes);

    /// <summary>A register that an instruction writes.</summary>
    public int Row(string name)
    {
        foreach (var scope in _registers)
        {
            if (scope.TryGetValue(name, out int row))
                return row;
        }
        throw new PtxFaultException($"no register {name}");
    }

    /// <summary>A register, a constant, a special register or the address of memory that the kernel has.</summary>
    public int Source(string operand)
    {
        if (Number(operand) is { } number)
            return Constant(number);
        if (Special().IsMatch(operand))
            return RowOf(_special, operand);
        return MemoryAddress(operand) is { } address ? Constant((ulong)address) : Row(operand);
    }

    /// <summary>The registers of {a, b}, or of a alone.</summary>
    public int[] Rows(string operand) => [.. operand.Trim('{', '}').Split(',').Select(name => Row(name.Trim()))];

    /// <summary>[register + number]: the row of the first, and the number.</summary>
    public (int Row, int Offset) Address(string operand)
    {
        var (name, offset) = AddressParts(operand);
        return (Source(name), offset);
    }

    /// <summary>[parameter + number].</summary>
    public int ParameterOffset(string operand, int bytes)
    {
        var (name, offset) = AddressParts(operand);
        int index = _parameters.FindIndex(parameter => parameter.Name == name);
        if (index < 0 || offset < 0 || offset + bytes > _parameters[index].Bytes)
            throw new PtxFaultException($"no such bytes of parameters: {operand}");
        return _parameters[index].Offset + offset;
    }

    private static (string Name, int Offset) AddressParts(string operand)
    {
        var address = AddressText().Match(operand);
        if (!address.Success)
            throw new PtxFaultException($"not an address: {operand}");
        return (address.Groups[1].Value,
            address.Groups[2].Success ? int.Parse(address.Groups[2].Value.Replace("+", ""), CultureInfo.InvariantCulture) : 0);
    }

    private int Constant(ulong value) => RowOf(_constants, value);

    private int RowOf<TKey>(Dictionary<TKey, int> rows, TKey key)
        where TKey : notnull
    {
        if (!rows.TryGetValue(key, out int row))
            rows[key] = row = _rows++;
        return row;
    }

    /// <summary>All shared memory that is reserved is declared before the first instruction that names dynamic memory.</summary>
    private int? MemoryAddress(string name)
    {
        if (_memory.TryGetValue(name, out int address))
            return address;
        int index = _dynamicShared.FindIndex(memory => memory.Name == name);
        return index < 0 ? null : PtxKernel.SharedBase + Aligned(_sharedBytes, _dynamicShared[index].Alignment);
    }

    /// <summary>A number as instructions hold it: of 32 bits in the low half, negative ones in 64 bits.</summary>
    private static ulong? Number(string text)
    {
        const NumberStyles Hexadecimal = NumberStyles.AllowHexSpecifier;
        if (text.StartsWith("0f", StringComparison.Ordinal) || text.StartsWith("0d", StringComparison.Ordinal)
            || text.StartsWith("0x", StringComparison.Ordinal))
            return ulong.Parse(text.AsSpan(2), Hexadecimal, CultureInfo.InvariantCulture);
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number))
            return (ulong)number;
        return ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong large) ? large : null;
    }

    private static int Aligned(int offset, int alignment) => (offset + alignment - 1) / alignment * alignment;

    [GeneratedRegex(@"(?<=[\s,])([%\w$]+)(?:<(\d+)>)?(?=\s*(?:,|$))")]
    private static partial Regex Registers();

    [GeneratedRegex(@"^\.(shared|local) \.align (\d+) \.b8 (\w+)\[(\d+)\]$")]
    private static partial Regex Memory();

    [GeneratedRegex(@"^%(?:(?:n?tid|n?ctaid)\.[xyz]|laneid|dynamic_smem_size)$")]
    private static partial Regex Special();

    [GeneratedRegex(@"^\[([%\w$]+)(\s*[+-]\s*-?\d+)?\]$")]
    private static partial Regex AddressText();
}

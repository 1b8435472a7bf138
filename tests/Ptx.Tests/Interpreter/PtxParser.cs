using System.Globalization;
using System.Text.RegularExpressions;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Reads the text of one kernel, as ILGPU writes it and a driver takes it.</summary>
internal sealed partial class PtxParser
{
    private readonly PtxNames _names = new();
    private readonly List<PtxInstruction> _code = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly string _text;
    private int _at;
    private int _line = 1;

    private PtxParser(string text) => _text = Comment().Replace(text, "");

    /// <summary>Decodes a kernel.</summary>
    /// <exception cref="PtxFaultException">The text has something that the interpreter does not know.</exception>
    public static PtxKernel Parse(string text) => new PtxParser(text).Parse();

    private PtxKernel Parse()
    {
        if (Target().Match(_text) is not { Success: true })
            throw new PtxFaultException("the text names no target");
        foreach (Match memory in DynamicShared().Matches(_text))
            _names.DeclareDynamicShared(memory.Groups[2].Value, Number(memory.Groups[1]));
        var entries = Entry().Matches(_text);
        if (entries.Count != 1)
            throw new PtxFaultException($"{entries.Count} entries in one text");
        foreach (Match parameter in Parameter().Matches(entries[0].Groups[2].Value))
        {
            int bytes = PtxNames.BytesOf(parameter.Groups[2].Value);
            bool isArray = parameter.Groups[4].Success;
            _names.DeclareParameter(parameter.Groups[3].Value, isArray ? Number(parameter.Groups[4]) : bytes,
                parameter.Groups[1].Success ? Number(parameter.Groups[1]) : bytes);
        }
        Skip(entries[0].Index + entries[0].Length);
        ReadBody();
        foreach (var branch in _code.OfType<Branch>())
            branch.Target = _labels.TryGetValue(branch.Label, out int target) ? target : throw At(branch, "no such label");
        return _names.ToKernel(entries[0].Groups[1].Value, _code);
    }

    private void ReadBody()
    {
        int depth = 0;
        do
        {
            SkipSpace();
            if (_text[_at] == '{')
            {
                depth++;
                _names.OpenScope();
                _at++;
            }
            else if (_text[_at] == '}')
            {
                depth--;
                _names.CloseScope();
                _at++;
            }
            else
                ReadStatement();
        }
        while (depth > 0);
    }

    private void ReadStatement()
    {
        if (Label().Match(_text, _at) is { Success: true } label)
        {
            _labels.Add(label.Groups[1].Value, _code.Count);
            Skip(_at + label.Length);
            return;
        }
        int end = _text.IndexOf(';', _at), line = _line;
        string statement = Space().Replace(_text[_at..end], " ").Trim();
        Skip(end + 1);
        try
        {
            if (statement.StartsWith(".reg", StringComparison.Ordinal))
                _names.DeclareRegisters(statement);
            else if (statement.StartsWith(".shared", StringComparison.Ordinal) || statement.StartsWith(".local", StringComparison.Ordinal))
                _names.DeclareMemory(statement);
            else
                _code.Add(Instruction(statement, line));
        }
        catch (PtxFaultException fault)
        {
            throw new PtxFaultException($"line {line}: {statement}: {fault.Message}");
        }
    }

    private PtxInstruction Instruction(string statement, int line)
    {
        var parts = Parts().Match(statement);
        if (!parts.Success)
            throw new PtxFaultException("not an instruction");
        var instruction = PtxDecoder.Decode(parts.Groups["code"].Value, Operands(parts.Groups["operands"].Value), _names);
        instruction.Text = statement;
        instruction.Line = line;
        if (parts.Groups["guard"] is { Success: true } guard)
        {
            instruction.Guard = _names.Row(guard.Value);
            instruction.IsGuardNegated = parts.Groups["not"].Length > 0;
        }
        return instruction;
    }

    /// <summary>Operands are separated by commas, but for those inside braces.</summary>
    private static string[] Operands(string text)
        => text.Length == 0 ? [] : [.. OperandSeparator().Split(text).Select(operand => operand.Trim())];

    private void SkipSpace()
    {
        int next = _at;
        while (char.IsWhiteSpace(_text[next]))
            next++;
        Skip(next);
    }

    private void Skip(int to)
    {
        _line += _text.AsSpan(_at, to - _at).Count('\n');
        _at = to;
    }

    private static PtxFaultException At(PtxInstruction instruction, string message)
        => new($"line {instruction.Line}: {instruction.Text}: {message}");

    private static int Number(Group group) => int.Parse(group.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"//[^\n]*")]
    private static partial Regex Comment();

    [GeneratedRegex(@"\.target\s+sm_\d+a?\s")]
    private static partial Regex Target();

    [GeneratedRegex(@"\.extern\s+\.shared\s+\.align\s+(\d+)\s+\.b8\s+(\w+)\[\];")]
    private static partial Regex DynamicShared();

    [GeneratedRegex(@"\.entry\s+(\w+)\s*\(([^)]*)\)[^{;]*(?=\{)")]
    private static partial Regex Entry();

    [GeneratedRegex(@"\.param\s+(?:\.align\s+(\d+)\s+)?\.([bfsu]\d+)\s+(\w+)(?:\[(\d+)\])?")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"\G([A-Za-z_$][\w$]*):(?!:)")]
    private static partial Regex Label();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();

    [GeneratedRegex(@"^(?:@(?<not>!?)(?<guard>%?\w+) )?(?<code>[a-z][\w.:]*) ?(?<operands>.*)$")]
    private static partial Regex Parts();

    [GeneratedRegex(@",(?![^{]*\})")]
    private static partial Regex OperandSeparator();
}

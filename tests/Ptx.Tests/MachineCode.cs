using System.Text.RegularExpressions;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The instructions of an assembled kernel, and those of the loop that its matrix instructions lie in.</summary>
/// <param name="All">In order, without predicates.</param>
/// <param name="Loop">The innermost loop around all matrix instructions; empty where there are none.</param>
internal sealed partial record MachineCode(IReadOnlyList<string> All, IReadOnlyList<string> Loop)
{
    /// <summary>Instructions of the loop that multiply matrices.</summary>
    public int Products => Count(Loop, "HG?MMA");

    /// <summary>Share of the loop's instructions that multiply matrices.</summary>
    public double Share => (double)Products / Math.Max(1, Loop.Count);

    /// <summary>Instructions whose name, with all suffixes, the pattern matches from its start.</summary>
    public static int Count(IEnumerable<string> code, string pattern)
        => code.Count(instruction => Regex.IsMatch(instruction, "^" + pattern));

    /// <summary>Reads what nvdisasm prints.</summary>
    public static MachineCode Parse(string listing)
    {
        var labels = new Dictionary<string, int>();
        var code = new List<string>();
        foreach (string line in listing.Split('\n'))
        {
            if (Label().Match(line) is { Success: true } label)
                labels[label.Groups[1].Value] = code.Count;
            else if (Instruction().Match(line) is { Success: true } instruction)
                code.Add(Predicate().Replace(instruction.Groups[1].Value, ""));
        }
        int first = code.FindIndex(IsProduct), last = code.FindLastIndex(IsProduct);
        var loops = from end in Enumerable.Range(0, code.Count)
                    where first >= 0 && end >= last
                    let branch = Branch().Match(code[end])
                    where branch.Success
                    let begin = labels.GetValueOrDefault(branch.Groups[1].Value, int.MaxValue)
                    where begin <= first
                    select code[begin..(end + 1)];
        return new MachineCode(code, loops.MinBy(loop => loop.Count) ?? []);
    }

    private static bool IsProduct(string instruction)
        => Count([instruction], "(HG?|D)MMA") > 0;

    [GeneratedRegex(@"^(\.L_\w+):")]
    private static partial Regex Label();

    [GeneratedRegex(@"/\*[0-9a-f]{4,5}\*/\s+(.*?);")]
    private static partial Regex Instruction();

    [GeneratedRegex(@"^@!?U?P\w+\s+")]
    private static partial Regex Predicate();

    [GeneratedRegex(@"^BRA.*?(\.L_\w+)")]
    private static partial Regex Branch();
}

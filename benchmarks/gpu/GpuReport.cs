using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Lays the rows of this library and of PyTorch side by side: tables in Markdown, one JSON file, and what is judged.</summary>
internal static class GpuReport
{
    private const string Missing = "not measured";
    private const string Usage = "usage: benchmarks gpu-report [--tests FILE] [--ours FILE]... [--pytorch FILE] "
        + "[--markdown FILE] [--json FILE] [--note TEXT]...: files that are not there were not measured";

    private static readonly string[] Precisions = ["tf32", "bf16", "float32", "float64"];
    private static readonly string[] KernelParts = ["convolution", "matmul", "root", "tiles"];

    /// <summary>Prints and writes a report.</summary>
    /// <param name="args">See the usage.</param>
    /// <returns>0; 1 where a part of the work failed, 2 where the arguments are wrong, 4 where parts ran out of time.</returns>
    public static int Run(string[] args)
    {
        string? markdown = null, json = null;
        var notes = new List<string>();
        JsonNode? tests = null;
        GpuResults ours = new() { Engine = "this library" }, torch = new() { Engine = "PyTorch" };
        for (int i = 0; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--tests":
                    tests = Tests(value);
                    break;
                case "--ours":
                    ours = Join(ours, value);
                    break;
                case "--pytorch":
                    torch = Join(torch, value);
                    break;
                case "--note":
                    notes.Add(value);
                    break;
                case "--markdown":
                    markdown = value;
                    break;
                case "--json":
                    json = value;
                    break;
                default:
                    Console.Error.WriteLine(Usage);
                    return 2;
            }
        }
        var targets = Targets(ours.Rows, torch.Rows).ToList();
        string text = Text(ours, torch, tests, notes, targets);
        Console.Write(text);
        if (markdown is not null)
            File.WriteAllText(markdown, text);
        if (json is not null)
        {
            var root = new JsonObject
            {
                ["notes"] = new JsonArray([.. notes.Select(note => (JsonNode)note)]),
                ["tests"] = tests,
                ["ours"] = JsonSerializer.SerializeToNode(ours.ToJson()),
                ["pytorch"] = torch.Device.Length == 0 ? null : JsonSerializer.SerializeToNode(torch.ToJson()),
                ["targets"] = new JsonArray([.. targets.Select(target => (JsonNode)new JsonObject
                {
                    ["name"] = target.Name,
                    ["target"] = target.Wanted,
                    ["measured"] = target.Measured,
                    ["met"] = target.IsMet,
                })]),
            };
            File.WriteAllText(json, root.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        }
        var gaps = ours.Gaps.Concat(torch.Gaps).ToList();
        return gaps.Exists(gap => gap.Failed) ? 1 : gaps.Count > 0 ? 4 : 0;
    }

    /// <summary>What is judged, and what it is; null where it was not measured.</summary>
    public static IEnumerable<Target> Targets(IReadOnlyList<GpuRow> ours, IReadOnlyList<GpuRow> torch)
    {
        foreach (string network in new[] { "unet-32", "unet-128" })
        {
            foreach (string precision in Precisions[..2])
            {
                yield return Speed($"convolutions of {network}, forward and both gradients, {precision}, over cuDNN through PyTorch", 0.8,
                    row => row.Part == "convolution" && row.Network == network && row.Precision == precision);
            }
        }
        foreach (string precision in Precisions[..2])
        {
            yield return Speed($"matmul 4096, {precision}, over cuBLAS through PyTorch", 0.6,
                row => row is { Part: "matmul", Name: "4096" } && row.Precision == precision);
        }
        var root = ours.FirstOrDefault(row => row is { Part: "root", Name: "2048", Precision: "float64" });
        yield return new Target("root of 2048 x 2048 in 64 bits, s", "less than 0.3", root?.Seconds,
            root is null ? null : root.Seconds < 0.3, "");

        Target Speed(string name, double least, Func<GpuRow, bool> isMeant)
        {
            var mine = ours.Where(isMeant).ToList();
            var pairs = mine.Select(row => (Ours: row, Torch: torch.FirstOrDefault(other => Key(other) == Key(row)))).ToList();
            var common = pairs.Where(pair => pair.Torch is not null).ToList();
            int all = mine.Select(Key).Union(torch.Where(isMeant).Select(Key)).Count();
            if (common.Count == 0)
                return new Target(name, Invariant($"at least {least:0.0}"), null, null, "");
            double time = common.Sum(pair => pair.Ours.Times * pair.Ours.Seconds);
            double theirs = common.Sum(pair => pair.Ours.Times * pair.Torch!.Seconds);
            double graph = common.Sum(pair => pair.Ours.Times * pair.Torch!.GraphSeconds);
            string note = Invariant($"ours {1e3 * time:0.00} ms, PyTorch {1e3 * theirs:0.00} ms")
                + (graph > 0 && common.All(pair => pair.Torch!.GraphSeconds > 0)
                    ? Invariant($", {1e3 * graph:0.00} ms in a CUDA graph without launches: {graph / time:0.00}") : "")
                + (common.Count < all ? $"; over {common.Count} of {all} rows only" : "");
            // A part of the rows decides nothing.
            bool? isMet = common.Count < all ? null : theirs / time >= least;
            return new Target(name, Invariant($"at least {least:0.0}"), theirs / time, isMet, note);
        }
    }

    private static JsonNode? Tests(string file)
    {
        try
        {
            return File.Exists(file) ? JsonNode.Parse(File.ReadAllText(file)) : null;
        }
        catch (JsonException)
        {
            return null; // cut off: as if the tests had not run, which the report then says
        }
    }

    private static GpuResults Join(GpuResults all, string file)
    {
        if (!File.Exists(file))
            return all;
        GpuResults more;
        try
        {
            more = GpuResults.Read(file);
        }
        catch (JsonException error)
        {
            // One file that was cut off must not lose the others.
            return all with { Gaps = [.. all.Gaps, new GpuGap(file, error.Message, Failed: true)] };
        }
        return all with
        {
            Device = more.Device,
            Quick = all.Quick || more.Quick,
            Facts = [.. all.Facts.Union(more.Facts)],
            Rows = [.. all.Rows, .. more.Rows],
            Gaps = [.. all.Gaps, .. more.Gaps],
        };
    }

    private static string Text(GpuResults ours, GpuResults torch, JsonNode? tests, List<string> notes, List<Target> targets)
    {
        var text = new StringBuilder("\n# Results of one GPU\n\n");
        foreach (var engine in new[] { ours, torch })
        {
            text.AppendLine($"- {engine.Engine}: {(engine.Device.Length > 0 ? engine.Device : Missing)}");
            foreach (string fact in engine.Facts)
                text.AppendLine($"  - {fact}");
        }
        text.AppendLine(tests is null ? $"- tests: {Missing}"
            : $"- tests: {tests["passed"]} passed, {tests["failed"]} failed, {tests["skipped"]} skipped on {tests["gpu"]}");
        foreach (string note in notes)
            text.AppendLine($"- {note}");
        if (ours.Quick)
            text.AppendLine("- **quick: sizes to try the program out; the figures say nothing of the device**");
        foreach (var gap in ours.Gaps.Concat(torch.Gaps))
            text.AppendLine($"- {(gap.Failed ? "FAILED" : "incomplete")}: {gap.Part}: {gap.Why}");
        text.AppendLine("\nTimes are medians. Speed: PyTorch's time over ours; above 1 this library is faster.\n");
        foreach (var target in targets)
            text.AppendLine($"- {target}");
        KernelTable(text, ours.Rows, torch.Rows);
        NetworkTable(text, ours.Rows, torch.Rows);
        return text.ToString();
    }

    private static void KernelTable(StringBuilder text, List<GpuRow> ours, List<GpuRow> torch)
    {
        text.AppendLine("\n## Kernels\n");
        string[] shown = [.. Precisions.Where(precision => ours.Concat(torch).Any(row => row.Precision == precision))];
        text.AppendLine("| part | kernel | pass | times | " + string.Join(" | ", shown.Select(precision
            => $"{precision} µs | PyTorch | speed | TFLOP/s")) + " |");
        text.AppendLine("|---|---|---|---|" + string.Concat(shown.Select(_ => "---|---|---|---|")));
        foreach (var part in ours.Concat(torch).Where(row => KernelParts.Contains(row.Part)).GroupBy(row => (row.Part, row.Network)))
        {
            string work = $"{part.Key.Part} {part.Key.Network}".TrimEnd();
            foreach (var kernel in part.GroupBy(row => (row.Name, row.Pass)))
                Line(work, kernel.Key.Name, kernel.Key.Pass, [kernel.First() with { Times = 1 }], kernel.First().Times);
            if (part.Key.Part == "convolution")
            {
                foreach (var pass in part.GroupBy(row => row.Pass))
                    Line(work, "all", pass.Key, [.. pass.DistinctBy(row => row.Name)], null);
            }
        }

        void Line(string work, string name, string pass, List<GpuRow> layers, int? times)
        {
            text.Append($"| {work} | {name} | {pass} | {times} |");
            foreach (string precision in shown)
            {
                double? mine = Sum(ours, layers, precision), theirs = Sum(torch, layers, precision);
                double flop = layers.Sum(layer => layer.Times * layer.Flop);
                text.Append(" " + Cell(1e6 * mine, "0.0") + " | " + Cell(1e6 * theirs, "0.0") + " | " + Cell(theirs / mine, "0.00") + " | "
                    + (flop > 0 ? Cell(flop / mine / 1e12, "0.0") : "") + " |");
            }
            text.AppendLine();
        }
    }

    private static void NetworkTable(StringBuilder text, List<GpuRow> ours, List<GpuRow> torch)
    {
        text.AppendLine("\n## Networks\n");
        text.AppendLine("| work | network | precision | ms | images/s | peak MB | PyTorch ms | images/s | peak MB | speed "
            + "| compiled ms | speed |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        var rows = ours.Concat(torch).Where(row => !KernelParts.Contains(row.Part) && Precisions.Contains(row.Precision));
        foreach (var row in rows.DistinctBy(Key).GroupBy(row => (row.Part, row.Network, row.Name)).SelectMany(group => group))
        {
            GpuRow? mine = ours.Find(other => Key(other) == Key(row)), theirs = torch.Find(other => Key(other) == Key(row));
            var compiled = torch.Find(other => Key(other) == Key(row with { Precision = $"{row.Precision} compiled" }));
            text.AppendLine($"| {row.Part}, {row.Name} | {row.Network} | {row.Precision} | {Figures(mine)} | {Figures(theirs)} "
                + $"| {Cell(theirs?.Seconds / mine?.Seconds, "0.00")} | {Cell(1e3 * compiled?.Seconds, "0.00")} "
                + $"| {Cell(compiled?.Seconds / mine?.Seconds, "0.00")} |");
        }

        static string Figures(GpuRow? row) => $"{Cell(1e3 * row?.Seconds, "0.00")} | {Cell(row?.Images / row?.Seconds, "0.0")} "
            + $"| {Cell(row is { PeakBytes: > 0 } ? row.PeakBytes / 1e6 : null, "0")}";
    }

    /// <summary>Seconds of some layers as often as they occur; null where one of them is missing.</summary>
    private static double? Sum(List<GpuRow> rows, List<GpuRow> layers, string precision)
    {
        double sum = 0;
        foreach (var layer in layers)
        {
            if (rows.Find(row => Key(row) == Key(layer with { Precision = precision })) is not { } row)
                return null;
            sum += layer.Times * row.Seconds;
        }
        return sum;
    }

    private static (string, string, string, string, string) Key(GpuRow row) => (row.Part, row.Network, row.Name, row.Pass, row.Precision);

    private static string Cell(double? value, string format)
        => value is { } number && double.IsFinite(number) ? number.ToString(format, CultureInfo.InvariantCulture) : Missing;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>A figure that decides whether the engine is fast enough.</summary>
    /// <param name="Name">What.</param>
    /// <param name="Wanted">In words.</param>
    /// <param name="Measured">Null where it was not.</param>
    /// <param name="IsMet">Null where it was not measured, or not completely.</param>
    /// <param name="Note">The times behind it.</param>
    internal sealed record Target(string Name, string Wanted, double? Measured, bool? IsMet, string Note)
    {
        public override string ToString() => $"target {Name}: {Wanted}; " + (Measured is not { } measured ? Missing
            : Invariant($"measured {measured:0.###}, {(IsMet switch { true => "met", false => "NOT MET", _ => "incomplete" })}")
                + (Note.Length > 0 ? $"; {Note}" : ""));
    }
}

using System.Diagnostics;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>The commands "gpu" and "gpu-report" of the benchmarks, which judge a GPU: tried out on what this machine has.</summary>
public sealed class GpuBenchmarksTests
{
    /// <summary>The distinct convolutions of the tiny U-Net, 8 and 16 channels on 16 x 16 and 8 x 8 pixels, and how often it has
    /// them.</summary>
    private static readonly (string Name, int Times)[] Layers =
    [
        ("7x7 3 -> 8, 16x16", 1), ("3x3 8 -> 8, 16x16", 8), ("1x1 8 -> 384, 16x16", 2), ("1x1 128 -> 8, 16x16", 2),
        ("2x2s2 8 -> 8, 16x16", 1), ("3x3 8 -> 8, 8x8", 4), ("1x1 8 -> 384, 8x8", 1), ("1x1 128 -> 8, 8x8", 1), ("3x3 8 -> 16, 8x8", 1),
        ("3x3 24 -> 16, 8x8, joined", 2), ("3x3 16 -> 16, 8x8", 6), ("1x1 24 -> 16, 8x8, joined", 2), ("1x1 16 -> 384, 8x8", 2),
        ("1x1 128 -> 16, 8x8", 2), ("3x3 16 -> 8, 16x16, upsampled", 1), ("3x3 16 -> 8, 16x16, joined", 3),
        ("1x1 16 -> 8, 16x16, joined", 3), ("1x1 8 -> 3, 16x16", 1),
    ];

    [Test]
    public void Every_part_has_rows_of_the_cpu()
    {
        using var folder = new TemporaryFolder();
        var (code, output) = Run("gpu", "--device", "cpu", "--quick", "--json", folder["a.json"]);
        Assert.That(code, Is.Zero, output);
        var results = JsonNode.Parse(File.ReadAllText(folder["a.json"]))!;
        var rows = results["rows"]!.AsArray().Select(row => row!.AsObject()).ToList();
        int Count(string part, string network = "")
            => rows.Count(row => (string)row["part"]! == part && (string)row["network"]! == network);
        Assert.Multiple(() =>
        {
            Assert.That(rows.Select(row => (double)row["seconds"]!), Is.All.Positive);
            Assert.That(rows.Select(row => string.Join('|', row.Take(5))), Is.Unique);
            Assert.That(Count("convolution", "unet-quick"), Is.EqualTo((3 * Layers.Length) - 1));
            Assert.That(Count("convolution", "inception"), Is.EqualTo(4));
            Assert.That((Count("matmul"), Count("root")), Is.EqualTo((1, 2)));
            Assert.That((Count("training", "unet-quick"), Count("sampling", "unet-quick"), Count("inception", "inception")),
                Is.EqualTo((1, 1, 1)));
            Assert.That(results["gaps"]!.AsArray(), Is.Empty);
            Assert.That(results["facts"]!.AsArray().Select(fact => (string)fact!), Has.Some.Contain("nothing to tune"));
        });
        var forward = rows.Where(row => (string)row["pass"]! == "forward" && (string)row["network"]! == "unet-quick");
        Assert.That(forward.Select(row => ((string)row["name"]!, (int)row["times"]!)), Is.EqualTo(Layers));
    }

    [Test]
    public void Kernels_are_timed_on_OpenCL()
    {
        if (Device.List().FirstOrDefault(device => device.Id == "opencl:0") is not { Problem: null })
            Assert.Ignore("this machine has no OpenCL device");
        using var folder = new TemporaryFolder();
        var (code, output) = Run("gpu", "--device", "opencl:0", "--quick", "--parts", "matmul,sampling", "--json", folder["a.json"]);
        Assert.That(code, Is.Zero, output);
        var rows = JsonNode.Parse(File.ReadAllText(folder["a.json"]))!["rows"]!.AsArray();
        Assert.That(rows.Select(row => (string)row!["part"]!), Is.EqualTo(new[] { "matmul", "sampling" }));
    }

    [Test]
    public void Parts_without_time_are_named()
    {
        using var folder = new TemporaryFolder();
        var (code, output) = Run("gpu", "--device", "cpu", "--quick", "--seconds", "0", "--parts", "convolutions,training", "--json",
            folder["a.json"]);
        var results = JsonNode.Parse(File.ReadAllText(folder["a.json"]))!;
        Assert.Multiple(() =>
        {
            Assert.That(code, Is.Zero, output);
            Assert.That(results["rows"]!.AsArray(), Is.Empty);
            Assert.That(results["gaps"]!.AsArray().Select(gap => (string)gap!["why"]!), Has.Exactly(3).StartsWith("out of time"));
            Assert.That(output, Does.Contain("convolutions unet-quick, float32: out of time after 0 of 18 layers"));
        });
    }

    [Test]
    public void Report_of_parts_without_time_has_an_exit_code_of_its_own()
    {
        using var folder = new TemporaryFolder();
        Write(folder["ours.json"], gap: ("inception", "out of time", false));
        Assert.That(Run("gpu-report", "--ours", folder["ours.json"]).Code, Is.EqualTo(4));
    }

    [Test]
    public void An_absent_device_is_refused_by_name()
    {
        var (code, output) = Run("gpu", "--device", "cuda:99");
        Assert.That(code, Is.EqualTo(3));
        Assert.That(output, Does.Contain("cuda:99: there is no such device; this machine has").And.Contain("cpu"));
    }

    [Test]
    public void Report_lays_engines_side_by_side_and_judges()
    {
        using var folder = new TemporaryFolder();
        Write(folder["ours.json"], gap: ("inception", "out of time", false),
            Row("matmul", "", "4096", "", "tf32", 1, 2e-3), Row("root", "", "2048", "", "float64", 1, 0.2),
            Row("convolution", "unet-32", "a", "forward", "tf32", 3, 1e-3), Row("convolution", "unet-32", "b", "forward", "tf32", 1, 1e-3),
            Row("convolution", "unet-32", "a", "forward", "bf16", 3, 1e-3));
        Write(folder["torch.json"], gap: ("training", "broke", true),
            Row("matmul", "", "4096", "", "tf32", 1, 1e-3),
            Row("convolution", "unet-32", "a", "forward", "tf32", 3, 1e-3), Row("convolution", "unet-32", "b", "forward", "tf32", 1, 6e-4),
            Row("convolution", "unet-32", "a", "forward", "bf16", 3, 2e-3), Row("convolution", "unet-32", "b", "forward", "bf16", 1, 1e-3));
        File.WriteAllText(folder["cut.json"], "{");
        var (code, output) = Run("gpu-report", "--ours", folder["ours.json"], "--pytorch", folder["torch.json"], "--tests", folder["none"],
            "--ours", folder["cut.json"], "--note", "a note", "--json", folder["r.json"], "--markdown", folder["r.md"]);
        Assert.That(code, Is.EqualTo(1), "a part failed");
        var targets = JsonNode.Parse(File.ReadAllText(folder["r.json"]))!["targets"]!.AsArray();
        JsonNode Target(string words) => targets.First(target => ((string)target!["name"]!).Contains(words, StringComparison.Ordinal))!;
        JsonNode single = Target("unet-32, forward and both gradients, tf32"), half = Target("unet-32, forward and both gradients, bf16");
        string table = File.ReadAllText(folder["r.md"]);
        Assert.Multiple(() =>
        {
            Assert.That((double)single["measured"]!, Is.EqualTo(0.9).Within(1e-9), "3.6 ms over 4");
            Assert.That((bool)single["met"]!, Is.True);
            Assert.That((double)half["measured"]!, Is.EqualTo(2).Within(1e-9));
            Assert.That(half["met"], Is.Null, "layer b is missing");
            Assert.That((bool)Target("matmul 4096, tf32")["met"]!, Is.False);
            Assert.That((bool)Target("root")["met"]!, Is.True);
            Assert.That(Target("matmul 4096, bf16")["measured"], Is.Null);
            Assert.That(output, Does.Contain("FAILED: training: broke").And.Contain("incomplete: inception: out of time")
                .And.Contain($"FAILED: {folder["cut.json"]}").And.Contain("- a note").And.Contain("tests: not measured"));
            Assert.That(table, Does.Contain("over 1 of 2 rows only").And.Contain("matmul 4096, bf16, over cuBLAS through PyTorch: "
                + "at least 0.6; not measured").And.Contain("| convolution unet-32 | all | forward |  | 4000.0 | 3600.0 | 0.90 |"));
        });
    }

    private static void Write(string file, (string Part, string Why, bool Failed) gap, params JsonNode[] rows)
        => File.WriteAllText(file, new JsonObject
        {
            ["device"] = "a GPU",
            ["rows"] = new JsonArray(rows),
            ["gaps"] = new JsonArray(new JsonObject { ["part"] = gap.Part, ["why"] = gap.Why, ["failed"] = gap.Failed }),
        }.ToJsonString());

    private static JsonObject Row(string part, string network, string name, string pass, string precision, int times, double seconds)
        => new()
        {
            ["part"] = part,
            ["network"] = network,
            ["name"] = name,
            ["pass"] = pass,
            ["precision"] = precision,
            ["times"] = times,
            ["seconds"] = seconds,
        };

    /// <summary>Starts the benchmarks, which are built into a folder like this program's.</summary>
    private static (int Code, string Output) Run(params string[] arguments)
    {
        string here = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar), framework = Path.GetFileName(here),
            configuration = Path.GetFileName(Path.GetDirectoryName(here)!);
        string program = Path.GetFullPath(Path.Combine(here, "../../../../../benchmarks/bin", configuration, framework, "benchmarks.dll"));
        if (!File.Exists(program))
            Assert.Ignore($"{program} is not there: not run in a checkout");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }
}

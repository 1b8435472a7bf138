using System.Diagnostics;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>What one run of the tool returned and wrote.</summary>
internal sealed record ToolRun(int Code, string Out, string Error)
{
    /// <summary>Options under which a run takes seconds: a tiny network on tiny images.</summary>
    public static readonly string[] TinyModel =
    [
        "--dim", "8", "--dim-mults", "1,2", "--image-size", "16", "--timesteps", "20", "--sampling-timesteps", "2",
        "--train-batch-size", "4", "--num-samples", "1", "--save-and-sample-every", "4", "--device", "cpu",
    ];

    /// <summary>The tiny model's options, some of them with other values.</summary>
    public static string[] TinyModelWith(params string[] changes)
        => [.. TinyModel.Chunk(2).Where(pair => !changes.Contains(pair[0])).SelectMany(pair => pair), .. changes];

    /// <summary>Runs the tool inside this process.</summary>
    public static ToolRun Of(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int code = DiffusionTool.RunAsync(arguments, new ToolContext(TextWriter.Synchronized(output), TextWriter.Synchronized(error)))
            .GetAwaiter().GetResult();
        return new ToolRun(code, output.ToString(), error.ToString());
    }

    /// <summary>Starts the tool as a process of its own, so that it can be killed.</summary>
    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(typeof(DiffusionTool).Assembly.Location);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    /// <summary>Expects one line on stderr that holds some words, an exit code, and no stack trace.</summary>
    public static void Expect(ToolRun result, int code, params string[] mentioned)
    {
        string[] lines = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Multiple(() =>
        {
            Assert.That(result.Code, Is.EqualTo(code), result.Error);
            Assert.That(lines.Count(line => line.StartsWith("diffusion: ", StringComparison.Ordinal)), Is.EqualTo(1), result.Error);
            Assert.That(lines, Is.Not.Empty);
            foreach (string text in mentioned)
                Assert.That(lines[^1], Does.Contain(text));
            Assert.That(result.Error, Does.Not.Contain("   at "), "no stack trace");
        });
    }

    /// <summary>Trains the tiny model and expects success.</summary>
    public static void TrainTiny(string data, string run, int steps, params string[] more)
    {
        var result = Of(["train", "--data", data, "--out", run, .. TinyModel, "--train-num-steps", $"{steps}", .. more]);
        Assert.That(result.Code, Is.Zero, result.Error);
    }

    /// <summary>Writes small pictures, each another gradient.</summary>
    public static string WriteImages(string folder, int count, int size = 16)
    {
        Directory.CreateDirectory(folder);
        for (int i = 0; i < count; i++)
        {
            var pixels = new byte[size * size * 3];
            for (int p = 0; p < pixels.Length; p++)
                pixels[p] = (byte)((p * (i + 1)) + (31 * i));
            PngWriter.Write(Path.Combine(folder, $"{i:000}.png"), new PixelImage(size, size, 3, pixels));
        }
        return folder;
    }
}

/// <summary>A folder of its own for each test, gone afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("diffusion-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    /// <summary>The files in it.</summary>
    public IEnumerable<string> Names => _folder.EnumerateFiles().Select(file => file.Name);

    public void Dispose() => _folder.Delete(recursive: true);
}

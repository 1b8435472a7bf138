using System.Diagnostics;
using System.Globalization;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Ctrl-C during a conversion leaves what was there before, and nothing else.</summary>
public sealed class InterruptionTests
{
    /// <summary>Long enough to be stopped in: a file with a hole, which takes no room.</summary>
    private const long SourceBytes = 2L << 30;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        const int Rows = (int)(SourceBytes >> 20);
        string header = $$$"""{"zeros":{"dtype":"U8","shape":[{{{Rows}}},1048576],"data_offsets":[0,{{{SourceBytes}}}]}}""".PadRight(128);
        using var stream = File.Create(_folder["source.safetensors"]);
        stream.Write(BitConverter.GetBytes((long)header.Length));
        stream.Write(System.Text.Encoding.ASCII.GetBytes(header));
        stream.SetLength(stream.Position + SourceBytes);
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("INT", "out.safetensors")]
    [TestCase("TERM", "out.pt")]
    public void Conversion_that_is_stopped_leaves_what_was_there(string signal, string destination)
    {
        File.WriteAllText(_folder[destination], "there before");
        using var process = ToolRun.Start("convert", _folder["source.safetensors"], _folder[destination]);
        WaitUntil(process, () => File.Exists(_folder[destination + ".partial"])
            && new FileInfo(_folder[destination + ".partial"]).Length > 0);
        Signal(process, signal);
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Multiple(() =>
        {
            Assert.That(process.ExitCode, Is.EqualTo(ExitCode.Interrupted), error);
            Assert.That(error.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1],
                Is.EqualTo("weight-converter: stopped; nothing was written"));
            Assert.That(File.ReadAllText(_folder[destination]), Is.EqualTo("there before"));
            Assert.That(_folder.Files, Is.EquivalentTo(new[] { "source.safetensors", destination }), "nothing half-written");
        });
    }

    [Test]
    public void Conversion_that_is_cancelled_by_a_program_leaves_what_was_there()
    {
        File.WriteAllText(_folder["out.safetensors"], "there before");
        using var cancel = new CancellationTokenSource();
        var progress = new Reaction(value =>
        {
            if (value.Done > value.Total / 100)
                cancel.Cancel();
        });
        var request = new ConversionRequest(_folder["source.safetensors"], _folder["out.safetensors"]);
        Assert.That(() => Conversion.Run(request, progress, cancel.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(File.ReadAllText(_folder["out.safetensors"]), Is.EqualTo("there before"));
        Assert.That(_folder.Files, Is.EquivalentTo(new[] { "source.safetensors", "out.safetensors" }));
    }

    private static void WaitUntil(Process process, Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (process.HasExited || clock.Elapsed > Patience)
                Assert.Fail($"not begun: {(process.HasExited ? process.StandardError.ReadToEnd() : "too slow")}");
            Thread.Sleep(2);
        }
    }

    private static void Signal(Process process, string name)
    {
        if (OperatingSystem.IsWindows())
        {
            process.Kill();
            Assert.Ignore("a process is sent no signal on Windows");
        }
        using var kill = Process.Start("kill", [$"-{name}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private sealed class Reaction(Action<ConversionProgress> react) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => react(value);
    }
}

using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Cli;

/// <summary>Shows how far sampling is, with rate and time left.</summary>
internal sealed class SamplingDisplay(ToolContext tool, DisplayMode mode, int count, int steps) : IDisposable
{
    private readonly StatusLine _line = new(tool.Error, mode);
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <summary>Receives the steps of one batch.</summary>
    /// <param name="done">Images drawn before it.</param>
    /// <param name="batch">Images in it.</param>
    public IProgress<SamplingProgress> ForBatch(int done, int batch) => new SynchronousProgress<SamplingProgress>(progress =>
    {
        double share = (done + (batch * (double)progress.Step / progress.Steps)) / count;
        double seconds = _watch.Elapsed.TotalSeconds;
        string rate = string.Create(CultureInfo.InvariantCulture, $"{share * count * steps / seconds:0.0} network calls/s");
        string left = StatusLine.Clock(TimeSpan.FromSeconds(seconds * (1 - share) / share));
        _line.Rewrite(share, $"sampling: {(int)(share * count)}/{count} images  {rate}  {left} left", isLast: share >= 1);
    });

    /// <summary>Writes a line of its own above the progress.</summary>
    public void Line(string text) => _line.Line(text);

    public void Dispose() => _line.Dispose();
}

using System.Diagnostics;
using System.Globalization;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Training;

/// <summary>metrics.csv of a run folder: one row per step, numbers written so that they read back bit for bit.</summary>
internal sealed class MetricsFile : IDisposable
{
    public const string Header = "step,loss,grad_norm,lr,images_per_s,elapsed_s";

    private static readonly TimeSpan FlushInterval = TimeSpan.FromSeconds(1);
    private readonly StreamWriter _writer;
    private readonly Stopwatch _sinceFlush = Stopwatch.StartNew();

    private MetricsFile(StreamWriter writer) => _writer = writer;

    /// <summary>Opens the file for the step after <paramref name="lastStep"/>; later rows, of a run that was cut off, are
    /// dropped.</summary>
    /// <exception cref="IOException">The file cannot be written, or is something else's.</exception>
    public static MetricsFile Open(string path, long lastStep)
    {
        string kept = string.Join('\n', KeptLines(path, lastStep)) + '\n';
        AtomicFile.Write(path, stream => stream.Write(Encoding.ASCII.GetBytes(kept)));
        return new MetricsFile(new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read), Encoding.ASCII));
    }

    public void Append(long step, float loss, float gradientNorm, double learningRate, double imagesPerSecond, double elapsedSeconds)
    {
        _writer.Write(string.Create(CultureInfo.InvariantCulture,
            $"{step},{loss:R},{gradientNorm:R},{learningRate:R},{imagesPerSecond:F2},{elapsedSeconds:F3}\n"));
        if (_sinceFlush.Elapsed >= FlushInterval)
            Flush();
    }

    public void Flush()
    {
        _writer.Flush();
        _sinceFlush.Restart();
    }

    public void Dispose() => _writer.Dispose();

    private static IEnumerable<string> KeptLines(string path, long lastStep)
    {
        yield return Header;
        if (lastStep == 0 || !File.Exists(path))
            yield break;
        bool first = true;
        foreach (string line in File.ReadLines(path))
        {
            if (first && line != Header)
                throw new IOException($"{path}: begins with '{line}'; expected '{Header}': move the file away");
            int comma = line.IndexOf(',', StringComparison.Ordinal);
            bool isRow = comma > 0 && line.Count(c => c == ',') == Header.Count(c => c == ',');
            if (!first && isRow && long.TryParse(line.AsSpan(0, comma), CultureInfo.InvariantCulture, out long step) && step <= lastStep)
                yield return line;
            first = false;
        }
    }
}

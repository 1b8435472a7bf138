using System.Globalization;
using Diffusion.Gpu.Fid;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>Shows how far a comparison is, with rate and time left.</summary>
internal sealed class FidDisplay(ToolContext tool, bool json) : IProgress<FidProgress>, IDisposable
{
    private readonly StatusLine _line = new(tool.Error, StatusLine.ModeFor(json));

    public void Report(FidProgress value)
    {
        if (value.Work == FidWork.Root)
            _line.Rewrite(double.NaN, "matrix root", isLast: true);
        else
        {
            _line.Rewrite((double)value.Done / value.Total, string.Create(CultureInfo.InvariantCulture,
                $"{value.Source}: {value.Done:N0}/{value.Total:N0} images  {value.ImagesPerSecond:0.0} images/s  ")
                + $"{StatusLine.Clock(value.Remaining)} left", isLast: value.Done == value.Total);
        }
    }

    /// <summary>Writes a line of its own above the progress.</summary>
    public void Line(string text) => _line.Line(text);

    public void Dispose() => _line.Dispose();
}

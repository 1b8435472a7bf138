using System.Diagnostics;
using System.Globalization;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>Progress of work that takes more than two seconds.</summary>
internal sealed class ProgressLine(TextWriter error, string verb) : IProgress<ConversionProgress>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly StatusLine _line = new(error, StatusLine.ModeFor(json: false));

    public void Report(ConversionProgress value)
    {
        var passed = _clock.Elapsed;
        if (passed < Patience)
            return;
        double share = value.Total == 0 ? 1 : (double)value.Done / value.Total;
        _line.Rewrite(share, string.Create(CultureInfo.InvariantCulture,
            $"{verb} {share,4:P0}  {value.Done / 1e6:N0} of {value.Total / 1e6:N0} MB, {value.Done / 1e6 / passed.TotalSeconds:N0} MB/s"));
    }

    public void Dispose() => _line.Dispose();
}

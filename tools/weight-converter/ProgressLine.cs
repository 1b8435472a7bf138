using System.Diagnostics;
using System.Globalization;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>One line of progress on stderr, for work of more than two seconds.</summary>
internal sealed class ProgressLine(TextWriter error, string verb) : IProgress<ConversionProgress>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Interval = Console.IsErrorRedirected ? TimeSpan.FromSeconds(5) : TimeSpan.FromSeconds(0.2);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _next = Patience;
    private bool _shown;

    public void Report(ConversionProgress value)
    {
        if (_clock.Elapsed < _next)
            return;
        _next = _clock.Elapsed + Interval;
        double share = value.Total == 0 ? 1 : (double)value.Done / value.Total;
        string text = string.Create(CultureInfo.InvariantCulture,
            $"{verb} {share,4:P0}  {value.Done / 1e6:N0} of {value.Total / 1e6:N0} MB, {value.Done / 1e6 / _clock.Elapsed.TotalSeconds:N0} MB/s");
        if (Console.IsErrorRedirected)
            error.WriteLine(text);
        else
            error.Write("\r" + text);
        _shown = true;
    }

    public void Dispose()
    {
        if (_shown && !Console.IsErrorRedirected)
            error.WriteLine();
    }
}

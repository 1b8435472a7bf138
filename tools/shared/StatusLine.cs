namespace Diffusion.Gpu.Tools;

/// <summary>How progress is shown.</summary>
internal enum DisplayMode
{
    /// <summary>One line that is rewritten in place.</summary>
    Live,

    /// <summary>A line every few seconds, for logs.</summary>
    Lines,

    /// <summary>One JSON object per event on stdout, and no text.</summary>
    Json,
}

/// <summary>A line of progress at the bottom of the terminal, and lines of text above it; a plain log where there is no terminal.</summary>
internal sealed class StatusLine(TextWriter error, DisplayMode mode) : IDisposable
{
    private const int BarWidth = 24;
    private static readonly TimeSpan LiveInterval = TimeSpan.FromSeconds(0.1);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(5);
    private readonly Lock _lock = new();
    private DateTime _next;
    private int _width;

    /// <summary>The mode that suits where stderr goes.</summary>
    /// <param name="json">Whether the user asked for JSON.</param>
    public static DisplayMode ModeFor(bool json)
        => json ? DisplayMode.Json : Console.IsErrorRedirected ? DisplayMode.Lines : DisplayMode.Live;

    /// <summary>Shows a text in the place of the last one; most calls between two refreshes are dropped.</summary>
    /// <param name="share">Done so far, 0 to 1; NaN where the end is not known.</param>
    /// <param name="text">What is shown behind the bar.</param>
    /// <param name="isLast">True shows the text whenever it comes.</param>
    public void Rewrite(double share, string text, bool isLast = false)
    {
        lock (_lock)
        {
            if (mode == DisplayMode.Json || (DateTime.UtcNow < _next && !isLast))
                return;
            _next = DateTime.UtcNow + (mode == DisplayMode.Live ? LiveInterval : LineInterval);
            if (mode == DisplayMode.Lines)
            {
                error.WriteLine(text);
                return;
            }
            if (double.IsFinite(share))
            {
                int filled = (int)(BarWidth * Math.Clamp(share, 0, 1));
                text = $"{new string('█', filled)}{new string('░', BarWidth - filled)} {text}";
            }
            error.Write("\r" + text.PadRight(_width));
            _width = text.Length;
        }
    }

    /// <summary>Writes a line of its own above the progress.</summary>
    public void Line(string text)
    {
        lock (_lock)
        {
            if (mode == DisplayMode.Json)
                return;
            if (_width > 0)
                error.Write("\r" + new string(' ', _width) + "\r");
            _width = 0;
            error.WriteLine(text);
        }
    }

    /// <summary>Leaves the last progress on the screen.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_width > 0)
                error.WriteLine();
            _width = 0;
        }
    }

    /// <summary>Writes a duration as 0:07, 12:30 or 1:02:03.</summary>
    public static string Clock(TimeSpan time) => time.TotalHours >= 1
        ? $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}"
        : $"{time.Minutes}:{time.Seconds:00}";
}

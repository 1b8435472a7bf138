using System.Globalization;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>What the tool returns to the shell.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Bad data: a file that is damaged, hostile or of another model, a disk that is full.</summary>
    public const int Input = 1;

    /// <summary>Bad options.</summary>
    public const int Usage = 2;

    /// <summary>Ended by Ctrl-C (the shell's 128 + SIGINT).</summary>
    public const int Interrupted = 130;
}

/// <summary>Turns an exception into one line on stderr and an exit code.</summary>
internal static class FailureReport
{
    public static int Write(Exception exception, TextWriter error, bool verbose)
    {
        string message = exception switch
        {
            OperationCanceledException => "stopped; nothing was written",
            OutOfMemoryException => $"not enough memory: {exception.Message}",
            _ => exception.Message,
        };
        error.WriteLine($"weight-converter: {Printable(message)}");
        if (verbose)
            error.WriteLine(exception);
        return exception switch
        {
            ArgumentException => ExitCode.Usage,
            OperationCanceledException => ExitCode.Interrupted,
            _ => ExitCode.Input,
        };
    }

    /// <summary>A text of one line: names in a hostile file may hold anything, a terminal's control codes included.</summary>
    public static string Printable(string text) => text.Any(IsUnsafe)
        ? string.Concat(text.Select(letter => IsUnsafe(letter) ? string.Create(CultureInfo.InvariantCulture, $"\\u{(int)letter:x4}") : $"{letter}"))
        : text;

    private static bool IsUnsafe(char letter) => char.IsControl(letter) || char.GetUnicodeCategory(letter)
        is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}

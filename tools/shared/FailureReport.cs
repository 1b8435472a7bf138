using System.Globalization;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Tools;

/// <summary>What a tool returns to the shell.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Bad data: a folder, an image, a file of weights that is damaged, hostile or of another model,
    /// a disk that is full.</summary>
    public const int Input = 1;

    /// <summary>Bad options.</summary>
    public const int Usage = 2;

    /// <summary>A device that does not exist, cannot be used or lacks memory.</summary>
    public const int Device = 3;

    /// <summary>Ended by Ctrl-C at a safe point (the shell's 128 + SIGINT).</summary>
    public const int Interrupted = 130;
}

/// <summary>Options that parse but make no sense together.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>Turns an exception into one line on stderr and an exit code.</summary>
internal static class FailureReport
{
    public static int Write(string tool, Exception exception, TextWriter error, bool verbose)
    {
        error.WriteLine($"{tool}: {Printable(Describe(exception).ReplaceLineEndings(" "))}");
        if (verbose)
            error.WriteLine(exception);
        return CodeOf(exception);
    }

    /// <summary>A text of one line: names in a hostile file may hold anything, a terminal's control codes included.</summary>
    public static string Printable(string text) => text.Any(IsUnsafe)
        ? string.Concat(text.Select(letter => IsUnsafe(letter)
            ? string.Create(CultureInfo.InvariantCulture, $"\\u{(int)letter:x4}") : $"{letter}"))
        : text;

    private static bool IsUnsafe(char letter) => char.IsControl(letter) || char.GetUnicodeCategory(letter)
        is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    private static string Describe(Exception exception) => exception switch
    {
        OperationCanceledException => "stopped; nothing was written",
        UnauthorizedAccessException => $"{exception.Message} Choose a path you may write to.",
        OutOfMemoryException => $"not enough memory: {exception.Message} Close other programs, or use a smaller batch, image size or dim.",
        _ => exception.Message,
    };

    private static int CodeOf(Exception exception) => exception switch
    {
        DeviceException or OutOfMemoryException => ExitCode.Device,
        UsageException or ArgumentException => ExitCode.Usage,
        OperationCanceledException => ExitCode.Interrupted,
        _ => ExitCode.Input,
    };
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli;

/// <summary>What the tool returns to the shell.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Bad data: a folder, an image, a checkpoint, a disk that is full.</summary>
    public const int Input = 1;

    /// <summary>Bad options.</summary>
    public const int Usage = 2;

    /// <summary>A device that does not exist, cannot be used or lacks memory.</summary>
    public const int Device = 3;

    /// <summary>Ended by Ctrl-C after a checkpoint was written (the shell's 128 + SIGINT).</summary>
    public const int Interrupted = 130;
}

/// <summary>Options that parse but make no sense together.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>Turns an exception into one line on stderr and an exit code.</summary>
internal static class FailureReport
{
    public static int Write(Exception exception, TextWriter error, bool verbose)
    {
        error.WriteLine($"diffusion: {Describe(exception).ReplaceLineEndings(" ")}");
        if (verbose)
            error.WriteLine(exception);
        return CodeOf(exception);
    }

    private static string Describe(Exception exception) => exception switch
    {
        UnauthorizedAccessException => $"{exception.Message} Choose a path you may write to.",
        OutOfMemoryException => $"not enough memory: {exception.Message} Use a smaller batch, image size or dim.",
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

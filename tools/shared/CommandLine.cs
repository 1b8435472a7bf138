using System.CommandLine;

namespace Diffusion.Gpu.Tools;

/// <summary>A tool's command line: parsed, run, and failures reported in one line.</summary>
internal static class CommandLine
{
    /// <summary>Runs a command.</summary>
    /// <param name="tool">The program's name, which every line of failure begins with.</param>
    /// <param name="root">Its commands.</param>
    /// <param name="args">What the user typed.</param>
    /// <param name="output">Results.</param>
    /// <param name="error">Errors and progress.</param>
    /// <returns>An <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string tool, RootCommand root, string[] args, TextWriter output, TextWriter error)
    {
        var verbose = new Option<bool>("--verbose") { Description = "Print stack traces of errors.", Recursive = true };
        root.Options.Insert(0, verbose);
        var result = root.Parse(args);
        if (result.Errors.Count > 0)
        {
            error.WriteLine($"{tool}: {Explain(tool, result)}");
            return ExitCode.Usage;
        }
        try
        {
            return await result.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
                Output = output,
                Error = error,
            });
        }
        catch (Exception exception)
        {
            return FailureReport.Write(tool, exception, error, result.GetValue(verbose));
        }
    }

    /// <summary>The first thing that is wrong with a command line, in one line.</summary>
    private static string Explain(string tool, ParseResult result)
    {
        string problem = result.UnmatchedTokens is [var token, ..]
            ? $"'{token}' is no command, option or value that is expected here."
            : string.Join(' ', result.Errors[0].Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        string command = result.CommandResult.Command is RootCommand ? "" : $"{result.CommandResult.Command.Name} ";
        return $"{problem} See '{tool} {command}--help'.";
    }
}

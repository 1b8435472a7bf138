using System.CommandLine;
using Diffusion.Gpu.Cli.Scoring;

namespace Diffusion.Gpu.Cli;

/// <summary>The command line: parses, runs, reports failures in one line.</summary>
internal static class DiffusionTool
{
    private const string Examples = """
        Examples:
          diffusion demo                                       draw a data set, train on it for two minutes, sample a grid
          diffusion train --data photos/ --out runs/photos --image-size 64
          diffusion train --data cifar10.zip --out runs/cifar --image-size 32 --dim 64 --train-batch-size 64
          diffusion train --data photos/ --out runs/photos --resume
          diffusion sample --run runs/photos --count 16 --out samples --sampler dpm++2m --steps 20
          diffusion fid samples/ photos/
          diffusion weights fetch
          diffusion devices
        """;

    public static async Task<int> RunAsync(string[] args, ToolContext tool)
    {
        var verbose = new Option<bool>("--verbose") { Description = "Print stack traces of errors; with devices, also time their kernels.", Recursive = true };
        var root = new RootCommand($"Train diffusion models from a folder of images, sample from them and score the samples.\n\n{Examples}")
        {
            verbose,
            DemoCommand.Create(tool),
            TrainCommand.Create(tool),
            SampleCommand.Create(tool),
            FidCommand.Create(tool),
            StatsCommand.Create(tool),
            WeightsCommand.Create(tool),
            DevicesCommand.Create(tool),
        };
        var result = root.Parse(args);
        if (result.Errors.Count > 0)
        {
            tool.Error.WriteLine($"diffusion: {Explain(result)}");
            return ExitCode.Usage;
        }
        try
        {
            return await result.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
                Output = tool.Out,
                Error = tool.Error,
            });
        }
        catch (Exception exception)
        {
            return FailureReport.Write(exception, tool.Error, result.GetValue(verbose));
        }
    }

    /// <summary>The first thing that is wrong with a command line, in one line.</summary>
    private static string Explain(ParseResult result)
    {
        string problem = result.UnmatchedTokens is [var token, ..]
            ? $"'{token}' is no command, option or value that is expected here."
            : string.Join(' ', result.Errors[0].Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        string command = result.CommandResult.Command is RootCommand ? "" : $"{result.CommandResult.Command.Name} ";
        return $"{problem} See 'diffusion {command}--help'.";
    }
}

using System.CommandLine;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>The command line: parses, runs, reports failures in one line.</summary>
internal static class ConverterTool
{
    private const string Examples = """
        Examples:
          weight-converter convert model-100.pt runs/mine/model-100.safetensors --image-size 64
                                                       bring a denoising-diffusion-pytorch model in; then: diffusion sample --run runs/mine
          weight-converter convert pt_inception-2015-12-05-6726825d.pth inception.safetensors
                                                       get Inception ready for FID (or let 'diffusion weights fetch' do both)
          weight-converter inspect model-100.pt
          weight-converter check model-100.pt --for unet
          weight-converter convert runs/mine/model-100.safetensors model-100.pt        back to PyTorch
        """;

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        var verbose = new Option<bool>("--verbose") { Description = "Print stack traces of errors.", Recursive = true };
        var root = new RootCommand("Bring PyTorch's weights in and take them out, without Python; nothing in a file is ever run.\n\n" + Examples)
        {
            verbose,
            ConvertCommand.Create(output, error),
            InspectCommand.Create(output, error),
            CheckCommand.Create(output),
            BenchCommand.Create(output),
        };
        var result = root.Parse(args);
        if (result.Errors.Count > 0)
        {
            error.WriteLine($"weight-converter: {Explain(result)}");
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
            return FailureReport.Write(exception, error, result.GetValue(verbose));
        }
    }

    /// <summary>The first thing that is wrong with a command line, in one line.</summary>
    private static string Explain(ParseResult result)
    {
        string problem = result.UnmatchedTokens is [var token, ..]
            ? $"'{token}' is no command, option or value that is expected here."
            : string.Join(' ', result.Errors[0].Message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        string command = result.CommandResult.Command is RootCommand ? "" : $"{result.CommandResult.Command.Name} ";
        return $"{problem} See 'weight-converter {command}--help'.";
    }
}

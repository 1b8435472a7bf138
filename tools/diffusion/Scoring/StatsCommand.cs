using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>diffusion stats: a set of images in, a file of statistics out.</summary>
internal static class StatsCommand
{
    public static Command Create(ToolContext tool)
    {
        var images = new Argument<string>("DIR") { Description = "Folder (searched recursively) or zip of images." };
        var output = new Option<string>("--out", "-o")
        {
            Description = "The file to write, .npz, with mu and sigma: readable by pytorch-fid and clean-fid.",
            HelpName = "FILE",
            Required = true,
        };
        var overwrite = new Option<bool>("--overwrite") { Description = "Replace a file that exists." };
        var command = new Command("stats", """
            Compute the statistics of a set of images once, to compare with them later.

            Example: diffusion stats photos/ -o photos.npz && diffusion fid samples/ photos.npz
            """)
        {
            images, output, overwrite,
        };
        var options = new ScoringOptions(command);
        command.SetAction(result => Run(tool, result.GetValue(images)!, result.GetValue(output)!, result.GetValue(overwrite),
            options.Read(result)));
        return command;
    }

    private static int Run(ToolContext tool, string images, string output, bool overwrite, ScoringRequest request)
    {
        if (!ReferenceStatistics.IsFile(output))
            throw new UsageException($"--out {output}: expected a name that ends in .npz.");
        if (File.Exists(output) && !overwrite)
            throw new IOException($"{output}: exists already; choose another --out, or --overwrite.");
        if (Path.GetDirectoryName(Path.GetFullPath(output)) is { } folder && !Directory.Exists(folder))
            throw new IOException($"{output}: its folder does not exist; make it first or choose another --out.");
        var weights = ScoringOptions.OpenWeights(request.Weights);
        using var device = Device.Open(request.Device, request.Precision);
        using var scorer = new FidScorer(device, weights, request.Options);
        using var interruption = new Interruption();
        using var display = new FidDisplay(tool, request.Json);
        var statistics = scorer.Statistics(images, display, interruption.Token);
        statistics.Write(output);
        display.Line(string.Create(CultureInfo.InvariantCulture,
            $"{output}: {statistics.Count:N0} images, {statistics.Dims} dims, {statistics.Recipe}, {weights.Label}"));
        if (request.Json)
        {
            tool.Out.WriteLine(new JsonObject
            {
                ["file"] = output,
                ["count"] = statistics.Count,
                ["dims"] = statistics.Dims,
                ["recipe"] = statistics.Recipe,
                ["weights"] = statistics.Weights,
            }.ToJsonString(OptionsJson.Settings));
        }
        return ExitCode.Success;
    }
}

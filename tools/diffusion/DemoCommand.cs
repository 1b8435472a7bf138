using System.CommandLine;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Cli.Demo;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli;

/// <summary>diffusion demo: the main job end to end, with nothing but this program.</summary>
internal static class DemoCommand
{
    private const int Images = 2000;
    private const int Samples = 36;
    private const int SamplingSteps = 20;

    /// <summary>Training ends after this, however slow the machine.</summary>
    private static readonly TimeSpan TrainingBudget = TimeSpan.FromSeconds(155);

    public static Command Create(ToolContext tool)
    {
        var output = new Option<string>("--out")
        {
            Description = "Folder for data, run and samples. Default: demo, or the next free demo-N.",
            HelpName = "DIR",
        };
        var seed = new Option<ulong>("--seed")
        {
            Description = "Seed of the data, the training and the samples.",
            HelpName = "N",
            DefaultValueFactory = _ => 0,
        };
        var device = CommonOptions.Device("cpu");
        var command = new Command("demo",
            "Draw a data set, train a small U-Net on it, sample a grid and score it: "
            + "four minutes on two cores, no data, no GPU, no network.")
        {
            output, seed, device,
        };
        command.SetAction(async (result, _) => await RunAsync(tool, result.GetValue(output) ?? FreeFolder("demo"), result.GetValue(seed),
            result.GetValue(device)!));
        return command;
    }

    private static async Task<int> RunAsync(ToolContext tool, string folder, ulong seed, string deviceId)
    {
        string data = Path.Combine(folder, "data"), run = Path.Combine(folder, "run"), samples = Path.Combine(folder, "samples");
        tool.Error.WriteLine($"drawing {Images:N0} landscapes of {LandscapePainter.Size}x{LandscapePainter.Size} pixels into {data}");
        LandscapeFolder.Write(data, Images, seed, CancellationToken.None);

        var given = (JsonObject)Options.DeepClone();
        given["seed"] = seed;
        int code = await TrainCommand.RunAsync(tool, data, run, given, resume: false, deviceId, precision: null,
            StatusLine.ModeFor(json: false), TrainingBudget);
        if (code != ExitCode.Success)
            return code;

        var request = new SampleRequest(Checkpoint.Latest(run)!.Path, Samples, samples)
        {
            Batch = Samples,
            Sampler = "dpm++2m",
            Steps = SamplingSteps,
            Seed = seed,
            Device = deviceId,
        };
        code = SampleCommand.Run(tool, request, StatusLine.ModeFor(json: false));
        if (code == ExitCode.Success)
        {
            string[] drawn = [.. Directory.GetFiles(samples, "sample-*.png").Order(StringComparer.Ordinal)];
            tool.Error.WriteLine(DemoScore.Describe(deviceId, drawn, seed, firstUnseen: Images));
            tool.Out.WriteLine($"""
                What was learned:  {Path.GetFullPath(Path.Combine(samples, SampleCommand.GridFile))}
                The data:          {Path.GetFullPath(data)}
                The run:           {Path.GetFullPath(run)} (options, metrics.csv, checkpoints, sample grids on the way)
                More samples:      diffusion sample --run {run} --count 16 --out more --seed 1
                Your own images:   diffusion train --data DIR --out runs/mine --image-size 64
                """);
        }
        return code;
    }

    /// <summary>A network and a pace that two cores learn landscapes with in two minutes.</summary>
    private static JsonObject Options { get; } = new()
    {
        ["dim"] = 16,
        ["dim-mults"] = new JsonArray(1, 2, 4),
        ["attn-heads"] = 2,
        ["attn-dim-head"] = 16,
        ["image-size"] = LandscapePainter.Size,
        ["train-lr"] = 2e-3,
        ["train-num-steps"] = 1400,
        ["ema-update-every"] = 1,
        ["min-snr-loss-weight"] = true,
        ["sampling-timesteps"] = 20,
        ["num-samples"] = 16,
        ["save-and-sample-every"] = 350,
    };

    private static string FreeFolder(string name)
    {
        string folder = name;
        for (int i = 2; Directory.Exists(folder) || File.Exists(folder); i++)
            folder = $"{name}-{i}";
        return folder;
    }
}

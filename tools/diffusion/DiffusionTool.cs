using System.CommandLine;
using Diffusion.Gpu.Cli.Scoring;

namespace Diffusion.Gpu.Cli;

/// <summary>The commands of the tool.</summary>
internal static class DiffusionTool
{
    public const string Name = "diffusion";

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

    public static Task<int> RunAsync(string[] args, ToolContext tool)
    {
        var root = new RootCommand($"Train diffusion models from a folder of images, sample from them and score the samples.\n\n{Examples}")
        {
            DemoCommand.Create(tool),
            TrainCommand.Create(tool),
            SampleCommand.Create(tool),
            FidCommand.Create(tool),
            StatsCommand.Create(tool),
            WeightsCommand.Create(tool),
            DevicesCommand.Create(tool),
        };
        return CommandLine.RunAsync(Name, root, args, tool.Out, tool.Error);
    }
}

using System.CommandLine;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;
using Diffusion.Gpu.WeightConverter.Maps;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>weight-converter check: whether a file fits a model, with every misfit at once.</summary>
internal static class CheckCommand
{
    public static Command Create(TextWriter output)
    {
        var file = new Argument<string>("FILE") { Description = "A .pt, .pth or .safetensors file." };
        var model = new Option<string>("--for")
        {
            Description = "What it has to fit: a U-Net of the shape that its own tensors tell, "
                + "Inception-v3, or the network of a run folder or checkpoint.",
            HelpName = "unet|inception|RUN",
            Required = true,
        };
        var command = new Command("check", """
            Compare a file with a model: missing, left over and misshapen tensors, all at once.

            Example: weight-converter check model-100.pt --for runs/mine
            """)
        {
            file, model,
        };
        command.SetAction(result =>
        {
            using var weights = WeightFile.Open(result.GetValue(file)!);
            output.WriteLine($"{weights.Path}: fits, {Check(weights, result.GetValue(model)!)}");
            return ExitCode.Success;
        });
        return command;
    }

    private static string Check(WeightFile file, string model)
    {
        switch (model)
        {
            case "unet":
                var guess = ModelGuess.Of(file, SourceModel.Unet);
                guess.Unet!.Check();
                return guess.ToString();
            case "inception":
                ModelGuess.Of(file, SourceModel.Inception);
                return $"Inception-v3 {InceptionMap.Check(file, InceptionMap.PrefixOf(file)!)}";
            default:
                var options = OptionsOf(model);
                var sets = UnetSets.Find(file)
                    ?? throw new WeightsException(file.Path, null, "it holds no U-Net", $"expected the network of {model}");
                foreach (string prefix in new[] { sets.Online, sets.Average }.OfType<string>())
                    UnetSource.Check(file, Unet.LayoutOf(options.Unet), prefix);
                return $"the network of {model}";
        }
    }

    private static RunOptions OptionsOf(string run)
    {
        if (Directory.Exists(run))
            return Trainer.OptionsOf(run);
        return File.Exists(run)
            ? Checkpoint.Read(run).Options
            : throw new OptionsException("for", run, "unet, inception, a run folder or a checkpoint of this project");
    }
}

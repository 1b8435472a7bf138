using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>weight-converter convert: one file in, another out.</summary>
internal static class ConvertCommand
{
    private static readonly Dictionary<string, SourceModel> Models = new()
    {
        ["auto"] = SourceModel.Auto,
        ["unet"] = SourceModel.Unet,
        ["inception"] = SourceModel.Inception,
        ["tensors"] = SourceModel.Tensors,
    };

    private static readonly Dictionary<string, TargetFormat> Targets = new()
    {
        ["auto"] = TargetFormat.Auto,
        ["checkpoint"] = TargetFormat.Checkpoint,
        ["safetensors"] = TargetFormat.Safetensors,
        ["state-dict"] = TargetFormat.StateDict,
        ["trainer"] = TargetFormat.Trainer,
    };

    private static readonly Dictionary<string, ElementType> Types = new()
    {
        ["f32"] = ElementType.F32,
        ["bf16"] = ElementType.BF16,
        ["f16"] = ElementType.F16,
    };

    public static Command Create(TextWriter output, TextWriter error)
    {
        var source = new Argument<string>("IN") { Description = "A .pt, .pth or .safetensors file; its content decides what it is." };
        var destination = new Argument<string>("OUT") { Description = "The file to write, whole or not at all." };
        var from = Choice("--from", Models.Keys,
            "What IN holds: a U-Net with or without the rest of its training, Inception-v3, or just tensors.");
        var to = Choice("--to", Targets.Keys,
            "What OUT is: this project's checkpoint, .safetensors under PyTorch's names, a state_dict for torch.load, "
            + "or a file for the reference's Trainer.load. auto goes by OUT's extension.");
        var weights = Choice("--weights", ["ema", "model"],
            "Which weights of a U-Net go into safetensors or state-dict, which have room for one set.",
            required: false);
        var type = Choice("--dtype", Types.Keys,
            "What floats are rounded to; the optimiser's state is kept. Without it everything stays as it is.",
            required: false);
        var legacy = new Option<bool>("--legacy") { Description = "Write .pt as torch before 1.6 did." };
        var config = new Option<string>("--config")
        {
            Description = "A JSON file of options of 'diffusion train', for what the weights do not tell (dropout, auto-normalize …).",
            HelpName = "FILE",
        };
        var stated = UnetOptionNames.Create();
        var command = new Command("convert", """
        Convert a file of weights. What a U-Net's weights do not tell has to be said: --image-size always, the process where its buffers are
        not in the file.

        Example: weight-converter convert model-100.pt runs/mine/model-100.safetensors --image-size 64
        """)
        {
            source, destination, from, to, weights, type, legacy, config,
        };
        foreach (var option in stated)
            command.Add(option);
        command.SetAction(result =>
        {
            string? set = result.GetValue(weights);
            var request = new ConversionRequest(result.GetValue(source)!, result.GetValue(destination)!)
            {
                From = Models[result.GetValue(from)!],
                To = Targets[result.GetValue(to)!],
                Averaged = set != "model",
                Floats = result.GetValue(type) is { } name ? Types[name] : null,
                Legacy = result.GetValue(legacy),
                Options = UnetOptionNames.Collect(result, stated, result.GetValue(config)),
            };
            return Run(request, set is not null, output, error);
        });
        return command;
    }

    private static int Run(ConversionRequest request, bool choosesWeights, TextWriter output, TextWriter error)
    {
        using var interruption = new Interruption();
        ConversionResult result;
        using (var line = new ProgressLine(error, "converting"))
            result = Conversion.Run(request, line, interruption.Token);
        foreach (string lost in result.Lost)
            error.WriteLine(FailureReport.Printable($"{ConverterTool.Name}: warning: {request.Source}: {lost}"));
        output.WriteLine($"{request.Source}: {result.Model}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{request.Destination}: {Describe(result.Target)}, {result.Tensors} tensors, {result.Bytes / 1e6:N1} MB"));
        if (choosesWeights && (result.Target is TargetFormat.Checkpoint or TargetFormat.Trainer))
            output.WriteLine("both sets of weights were kept: --weights chooses for safetensors and state-dict only");
        if (result.IsInception)
        {
            output.WriteLine(result.InceptionId is { } id
                ? $"score with: diffusion fid A B --weights {request.Destination}   (weights {id})"
                : "its classifier has other classes than the published network's: "
                    + "'diffusion fid' wants pytorch-fid's file, see 'diffusion weights fetch'");
        }
        if (result.Target == TargetFormat.Checkpoint)
        {
            output.WriteLine($"sample with: diffusion sample --checkpoint {request.Destination} --out samples");
            string folder = Path.GetDirectoryName(request.Destination) is { Length: > 0 } parent ? parent : ".";
            output.WriteLine($"go on with: diffusion train --data IMAGES --out {folder} --resume"
                + (result.CanResume ? "" : "   (with a fresh optimiser: the source has no state of one)"));
        }
        return ExitCode.Success;
    }

    private static string Describe(TargetFormat target) => target switch
    {
        TargetFormat.Checkpoint => "a checkpoint of this project",
        TargetFormat.Trainer => "a file for Trainer.load",
        TargetFormat.StateDict => "a state_dict for torch.load",
        _ => "tensors under PyTorch's names",
    };

    private static Option<string> Choice(string name, IEnumerable<string> values, string help, bool required = true)
    {
        string[] choices = [.. values];
        var option = new Option<string>(name) { Description = help, HelpName = string.Join('|', choices) };
        if (required)
            option.DefaultValueFactory = _ => choices[0];
        option.AcceptOnlyFromAmong(choices);
        return option;
    }
}

using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>What model a file holds, as far as its names tell.</summary>
internal sealed class ModelGuess
{
    private ModelGuess(WeightFile file, UnetSource? unet, string? inception)
    {
        File = file;
        Unet = unet;
        Inception = inception;
    }

    /// <summary>The file.</summary>
    public WeightFile File { get; }

    /// <summary>The U-Net, or null.</summary>
    public UnetSource? Unet { get; }

    /// <summary>What the names of Inception's tensors begin with; null for other models.</summary>
    public string? Inception { get; }

    /// <summary>Looks for a model.</summary>
    /// <param name="file">The file.</param>
    /// <param name="wanted">What it is to be taken for.</param>
    /// <param name="options">Options of a U-Net that the user states.</param>
    /// <exception cref="WeightsException">The file holds nothing of what it is to be taken for.</exception>
    public static ModelGuess Of(WeightFile file, SourceModel wanted, JsonObject? options = null)
    {
        var unet = wanted is SourceModel.Auto or SourceModel.Unet ? UnetSource.Find(file, options) : null;
        string? inception = unet is null && wanted is SourceModel.Auto or SourceModel.Inception ? InceptionMap.PrefixOf(file) : null;
        if (wanted == SourceModel.Unet && unet is null)
            throw new WeightsException(file.Path, null, "none of its tensors is called init_conv.weight",
                "expected the weights of a U-Net");
        if (wanted == SourceModel.Inception && inception is null)
        {
            throw new WeightsException(file.Path, null, "none of its tensors is called Conv2d_1a_3x3.conv.weight",
                "expected Inception-v3 of pytorch-fid or torchvision");
        }
        return new ModelGuess(file, unet, inception);
    }

    /// <summary>The tensors of the model under PyTorch's names; of a file of no known model all tensors.</summary>
    /// <param name="copies">Describes them.</param>
    /// <param name="averaged">Which weights of a U-Net, where it has both.</param>
    public List<TensorSource> Select(TensorCopies copies, bool averaged)
    {
        if (Unet is { } unet)
        {
            unet.Check();
            return [.. unet.Layout.Slots.Select(slot => copies.Of(unet.Weight(slot, averaged), slot.Name))];
        }
        return Inception is { } prefix
            ? InceptionMap.Convert(copies, prefix)
            : [.. File.Tensors.Select(tensor => copies.Of(tensor, tensor.Name))];
    }

    /// <summary>What the header of a safetensors file says about the model.</summary>
    public Dictionary<string, string> Metadata(JsonObject given)
    {
        var metadata = new Dictionary<string, string> { ["format"] = "pt" };
        if (Unet?.Known is not null)
            metadata[UnetSource.OptionsName] = Unet.Run(given).Write();
        if (Unet is not null && Unet.Step > 0)
            metadata["step"] = Unet.Step.ToString(CultureInfo.InvariantCulture);
        return metadata;
    }

    /// <summary>The model in words.</summary>
    public override string ToString()
    {
        if (Inception is not null)
            return "Inception-v3";
        if (Unet is not { } unet)
            return File.Tensors.Count == 0 ? "no tensors" : "tensors of no model that is known here";
        var options = unet.Options;
        string parts = string.Join(", ", new[]
        {
            unet.Sets.Online is null ? null : "weights",
            unet.Sets.Average is null ? null : "their average",
            unet.HasMoments ? $"optimiser after {unet.AdamSteps} steps" : null,
        }.OfType<string>());
        return $"U-Net dim {options.Dim}, dim-mults {options.DimMults}, channels {options.Channels}"
            + (options.SelfCondition ? ", self-condition" : "") + (options.LearnedVariance ? ", learned variance" : "")
            + $" ({unet.Layout.Count.ToString("N0", CultureInfo.InvariantCulture)} parameters): {parts}"
            + (unet.Step > 0 ? $", step {unet.Step}" : "");
    }
}

using System.CommandLine;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>What 'fid' and 'stats' are told alike.</summary>
internal sealed class ScoringOptions
{
    /// <summary>Names the weights that are computed from a hash.</summary>
    public const string HashWeights = "hash";

    private readonly Option<string> _recipe = new("--recipe")
    {
        Description = "How images are prepared: bilinear without antialias, Pillow's bicubic with it, or TensorFlow 1's bilinear.",
        HelpName = string.Join('|', FidRecipes.All),
        DefaultValueFactory = _ => FidRecipe.PytorchFid.Name(),
    };

    private readonly Option<int?> _dims = new("--dims")
    {
        Description = "Features per image. Default: those of an .npz that is compared with, else 2048.",
        HelpName = "64|192|768|2048",
    };

    private readonly Option<string?> _weights = new("--weights")
    {
        Description = $"Inception's weights, .safetensors. Default: those of 'diffusion weights fetch'. '{HashWeights}' makes weights "
            + "from a hash: they need no download, and their scores compare with nothing but each other.",
        HelpName = "FILE",
    };

    private readonly Option<int> _batch = new("--batch")
    {
        Description = "Images that go through the network together, 0 = by device; the score does not depend on it.",
        HelpName = "N",
        DefaultValueFactory = _ => 0,
    };

    private readonly Option<string> _device = CommonOptions.Device();

    // Scores of the published code are of 32 bits, or of whatever its machine happened to have; ours say which, and start from those.
    private readonly Option<string> _precision = CommonOptions.Precision("float32");
    private readonly Option<bool> _json = CommonOptions.Json();

    public ScoringOptions(Command command)
    {
        _recipe.AcceptOnlyFromAmong([.. FidRecipes.All]);
        foreach (var option in new Option[] { _recipe, _dims, _weights, _batch, _device, _precision, _json })
            command.Add(option);
    }

    /// <summary>Reads what was given.</summary>
    /// <exception cref="UsageException">A value is impossible.</exception>
    public ScoringRequest Read(ParseResult result)
    {
        if (result.GetValue(_dims) is { } dims and not (64 or 192 or 768 or 2048))
            throw new UsageException($"--dims {dims}: expected 64, 192, 768 or 2048.");
        int batch = result.GetValue(_batch);
        if (batch < 0)
            throw new UsageException($"--batch {batch}: expected a number of images, or 0 for the device's choice.");
        var images = new FidOptions
        {
            Recipe = FidRecipes.Parse(result.GetValue(_recipe)!),
            Dims = result.GetValue(_dims),
            Batch = batch,
        };
        return new ScoringRequest(result.GetValue(_device)!, CommonOptions.ParsePrecision(result.GetValue(_precision)!),
            result.GetValue(_weights), result.GetValue(_json), images);
    }

    /// <summary>The weights of a name.</summary>
    /// <param name="name">A file, "hash", or null for those that were fetched.</param>
    /// <exception cref="Kernels.Weights.WeightsException">The weights are not there or are others.</exception>
    public static InceptionWeights OpenWeights(string? name) => name switch
    {
        null => InceptionWeights.ReadDefault(),
        HashWeights => InceptionWeights.Hash(),
        _ => InceptionWeights.Read(name),
    };
}

/// <summary>What 'fid' and 'stats' were told.</summary>
/// <param name="Device">Where to compute.</param>
/// <param name="Precision">Of the network's products; null for the device's own choice.</param>
/// <param name="Weights">A file, "hash", or null for the fetched ones.</param>
/// <param name="Json">Whether machines read the result.</param>
/// <param name="Options">How images are compared.</param>
internal sealed record ScoringRequest(string Device, Precision? Precision, string? Weights, bool Json, FidOptions Options);

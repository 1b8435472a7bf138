namespace Diffusion.Gpu.Fid;

/// <summary>How images are brought to Inception's 299 × 299 pixels and value range. Scores of different recipes do not compare.</summary>
public enum FidRecipe
{
    /// <summary>Bilinear without antialias, then 2·x/255 − 1: pytorch-fid, and denoising-diffusion-pytorch with it.</summary>
    PytorchFid,

    /// <summary>Pillow's bicubic with antialias on floats, clipped to 0 to 255, then (x − 128)/128: clean-fid's "clean".</summary>
    Clean,

    /// <summary>TensorFlow 1's bilinear, which shifts by half a pixel, then (x − 128)/128: the original FID, torch-fidelity, EDM.</summary>
    Tf1,
}

/// <summary>The names of recipes in results, files and on the command line.</summary>
public static class FidRecipes
{
    private static readonly string[] Names = ["pytorch-fid", "clean", "tf1"];

    /// <summary>Every name.</summary>
    public static IReadOnlyList<string> All => Names;

    /// <summary>The name of a recipe.</summary>
    public static string Name(this FidRecipe recipe) => Names[(int)recipe];

    /// <summary>The recipe of a name.</summary>
    /// <exception cref="ArgumentException">There is none; the message lists the names.</exception>
    public static FidRecipe Parse(string name) => Array.IndexOf(Names, name?.ToLowerInvariant()) is >= 0 and var at
        ? (FidRecipe)at
        : throw new ArgumentException($"recipe is '{name}', expected {string.Join(", ", Names)}", nameof(name));
}

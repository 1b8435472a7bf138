namespace Diffusion.Gpu.Fid;

/// <summary>How sets of images are compared.</summary>
public sealed record FidOptions
{
    /// <summary>How images are prepared; scores of different recipes do not compare.</summary>
    public FidRecipe Recipe { get; init; }

    /// <summary>Features per image: 64, 192, 768 or 2048; null for those of a statistics file that is compared with, else 2048.</summary>
    public int? Dims { get; init; }

    /// <summary>Images that go through the network together; 0 is chosen by the device. The score does not depend on it.</summary>
    public int Batch { get; init; }
}

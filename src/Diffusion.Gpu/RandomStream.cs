namespace Diffusion.Gpu;

/// <summary>What random numbers are for: the streams of a <see cref="Kernels.RandomKey"/>, so that no two uses share numbers.</summary>
internal static class RandomStream
{
    /// <summary>Initial weights.</summary>
    public const uint Weights = 1;

    /// <summary>Diffusion times of training images.</summary>
    public const uint Times = 2;

    /// <summary>Noise added to training images.</summary>
    public const uint Noise = 3;

    /// <summary>Offset noise, one number per image and channel.</summary>
    public const uint OffsetNoise = 4;

    /// <summary>Whether a training batch is conditioned on the model's own prediction.</summary>
    public const uint SelfCondition = 5;

    /// <summary>Dropout masks.</summary>
    public const uint Dropout = 6;

    /// <summary>The noise that a sampler starts from.</summary>
    public const uint SampleStart = 7;

    /// <summary>The noise that a sampler adds on its way.</summary>
    public const uint SampleStep = 8;

    /// <summary>The order of the training images.</summary>
    public const uint DataOrder = 9;

    /// <summary>Which training images are mirrored.</summary>
    public const uint Flip = 10;
}

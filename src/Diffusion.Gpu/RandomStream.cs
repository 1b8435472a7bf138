namespace Diffusion.Gpu;

/// <summary>What random numbers are for: the stream of a <see cref="Kernels.RandomKey"/>. Two uses never share one.</summary>
/// <remarks>The numbers are part of the reproducibility promise: changing one changes every run of a seed.</remarks>
internal static class RandomStream
{
    /// <summary>Initial weights; the draw is the parameter's index.</summary>
    public const uint Weights = 0;

    /// <summary>Time steps of training samples; the draw is the micro-step.</summary>
    public const uint Times = 1;

    /// <summary>Noise added to training samples; the draw is the micro-step.</summary>
    public const uint Noise = 2;

    /// <summary>Offset noise per sample and channel; the draw is the micro-step.</summary>
    public const uint OffsetNoise = 3;

    /// <summary>Whether a batch trains with self-conditioning; the draw is the micro-step.</summary>
    public const uint SelfCondition = 4;

    /// <summary>A sampler's noise; draw 0 is the initial image, draw k the noise after step k.</summary>
    public const uint Sampling = 5;

    /// <summary>An interpolation's noise; draws 0 and 1 are the two images', later ones the steps'.</summary>
    public const uint Interpolation = 6;

    /// <summary>The order of the training images; the draw is the epoch.</summary>
    public const uint DataOrder = 7;

    /// <summary>Which training images are mirrored; the draw is the epoch.</summary>
    public const uint Flip = 8;

    /// <summary>First stream of the dropout layers, one each; the draw is the micro-step.</summary>
    public const uint Dropout = 0x1000;
}

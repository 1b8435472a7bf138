namespace Diffusion.Gpu;

/// <summary>The shape of a U-Net; names and defaults are the reference implementation's.</summary>
/// <remarks>denoising-diffusion-pytorch, Unet. Lists go from the finest stage to the coarsest.</remarks>
public sealed record UnetOptions
{
    /// <summary>Channels of the finest stage, and width of the sinusoidal time embedding.</summary>
    public int Dim { get; init; } = 64;

    /// <summary>Channels after the first convolution; null for <see cref="Dim"/>.</summary>
    public int? InitDim { get; init; }

    /// <summary>Output channels; null for the image's, doubled where the variance is learned.</summary>
    public int? OutDim { get; init; }

    /// <summary>Channels of each stage as multiples of <see cref="Dim"/>; one stage each.</summary>
    public StageList<int> DimMults { get; init; } = [1, 2, 4, 8];

    /// <summary>Channels of the images.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>Whether the network also sees its previous estimate of the image.</summary>
    /// <remarks>Chen et al., 2022 (Analog Bits).</remarks>
    public bool SelfCondition { get; init; }

    /// <summary>Whether the network also predicts an interpolation between the extreme variances.</summary>
    /// <remarks>Nichol and Dhariwal, 2021.</remarks>
    public bool LearnedVariance { get; init; }

    /// <summary>Whether the time is embedded by learned instead of fixed frequencies.</summary>
    public bool LearnedSinusoidalCond { get; init; }

    /// <summary>Whether the time is embedded by random frequencies that are not trained.</summary>
    public bool RandomFourierFeatures { get; init; }

    /// <summary>Sines and cosines of learned or random frequencies; even.</summary>
    public int LearnedSinusoidalDim { get; init; } = 16;

    /// <summary>Ratio of the longest to the shortest period of the fixed time embedding.</summary>
    public float SinusoidalPosEmbTheta { get; init; } = 10000;

    /// <summary>Share of values that are zeroed in each residual block while training, in [0, 1).</summary>
    public float Dropout { get; init; }

    /// <summary>Channels of an attention head.</summary>
    public StageList<int> AttnDimHead { get; init; } = [32];

    /// <summary>Attention heads.</summary>
    public StageList<int> AttnHeads { get; init; } = [4];

    /// <summary>Which stages attend at quadratic instead of linear cost; null for the coarsest only.</summary>
    public StageList<bool>? FullAttn { get; init; }

    /// <summary>Number of resolutions.</summary>
    internal int Stages => DimMults.Count;

    /// <summary>What image height and width must be multiples of.</summary>
    internal int SizeFactor => 1 << (Stages - 1);

    /// <summary>Channels after the first convolution.</summary>
    internal int InitialChannels => InitDim ?? Dim;

    /// <summary>Channels that the network returns.</summary>
    internal int OutputChannels => OutDim ?? (LearnedVariance ? 2 * Channels : Channels);

    /// <summary>Width of the vector that tells every block the time.</summary>
    internal int TimeChannels => 4 * Dim;

    /// <summary>Whether the time is embedded by learned or random frequencies; such networks want continuous times.</summary>
    internal bool HasFourierTime => LearnedSinusoidalCond || RandomFourierFeatures;

    /// <summary>Channels of a stage's input.</summary>
    internal int ChannelsInto(int stage) => stage == 0 ? InitialChannels : Dim * DimMults[stage - 1];

    /// <summary>Channels of a stage's output on the way down.</summary>
    internal int ChannelsOf(int stage) => Dim * DimMults[stage];

    /// <summary>Whether a stage attends at quadratic cost.</summary>
    internal bool HasFullAttention(int stage) => FullAttn?.At(stage) ?? stage == Stages - 1;

    /// <summary>Refuses values that no network can be built from.</summary>
    /// <exception cref="OptionsException">The first option that cannot be used.</exception>
    public void Validate()
    {
        OptionsException.ThrowUnless(Dim >= 1, "dim", Dim, "at least 1");
        OptionsException.ThrowUnless(HasFourierTime || (Dim >= 4 && Dim % 2 == 0), "dim", Dim,
            "an even number of at least 4, the width of the time embedding");
        OptionsException.ThrowUnless(InitDim is null or >= 1, "init-dim", InitDim, "at least 1");
        OptionsException.ThrowUnless(OutDim is null or >= 1, "out-dim", OutDim, "at least 1");
        OptionsException.ThrowUnless(Stages is >= 1 and <= 16 && DimMults.All(m => m >= 1), "dim-mults", DimMults,
            "1 to 16 multiples, each at least 1");
        OptionsException.ThrowUnless(Channels >= 1, "channels", Channels, "at least 1");
        OptionsException.ThrowUnless(!LearnedSinusoidalCond || !RandomFourierFeatures, "random-fourier-features", true,
            "false where learned-sinusoidal-cond is true");
        OptionsException.ThrowUnless(!HasFourierTime || (LearnedSinusoidalDim >= 2 && LearnedSinusoidalDim % 2 == 0),
            "learned-sinusoidal-dim", LearnedSinusoidalDim, "an even number of at least 2");
        OptionsException.ThrowUnless(SinusoidalPosEmbTheta > 1, "sinusoidal-pos-emb-theta", SinusoidalPosEmbTheta, "more than 1");
        OptionsException.ThrowUnless(Dropout is >= 0 and < 1, "dropout", Dropout, "a probability in [0, 1)");
        ValidateStages("attn-dim-head", AttnDimHead, AttnDimHead.All(d => d >= 1));
        ValidateStages("attn-heads", AttnHeads, AttnHeads.All(h => h >= 1));
        if (FullAttn is not null)
            ValidateStages("full-attn", FullAttn, true);
    }

    private void ValidateStages<T>(string option, StageList<T> values, bool valuesAreUsable)
        where T : struct, IEquatable<T>
        => OptionsException.ThrowUnless(values.Covers(Stages) && valuesAreUsable, option, values,
            $"one value for all or {Stages}, one per entry of dim-mults{(typeof(T) == typeof(int) ? ", each at least 1" : "")}");
}

namespace Diffusion.Gpu;

/// <summary>The process that a network is trained for; names and defaults are the reference implementation's.</summary>
/// <remarks>denoising-diffusion-pytorch, GaussianDiffusion.</remarks>
public sealed record DiffusionOptions
{
    /// <summary>Height and width of the images.</summary>
    public ImageSize ImageSize { get; init; } = 32;

    /// <summary>Steps of the process.</summary>
    public int Timesteps { get; init; } = 1000;

    /// <summary>Steps of the sampler; null for all.</summary>
    public int? SamplingTimesteps { get; init; }

    /// <summary>What the network is trained to return.</summary>
    public Objective Objective { get; init; } = Objective.PredV;

    /// <summary>How noise grows over the steps.</summary>
    public BetaSchedule BetaSchedule { get; init; } = BetaSchedule.Sigmoid;

    /// <summary>How much noise a sampler of fewer steps adds: 0 for none, 1 for as much as the process.</summary>
    public float DdimSamplingEta { get; init; }

    /// <summary>Whether images in [0, 1] are brought to [-1, 1]; false takes and returns images in [-1, 1].</summary>
    public bool AutoNormalize { get; init; } = true;

    /// <summary>Standard deviation of the noise that all pixels of a channel share; 0 for none.</summary>
    public float OffsetNoiseStrength { get; init; }

    /// <summary>Whether steps of little noise count less.</summary>
    public bool MinSnrLossWeight { get; init; }

    /// <summary>The signal-to-noise ratio above which they do.</summary>
    public double MinSnrGamma { get; init; } = 5;

    /// <summary>Whether each image of a batch gets the noise that is nearest to it.</summary>
    /// <remarks>Li et al., 2024.</remarks>
    public bool Immiscible { get; init; }

    /// <summary>Refuses values that no process can be made of.</summary>
    /// <exception cref="OptionsException">The first option that cannot be used.</exception>
    public void Validate()
    {
        OptionsException.ThrowUnless(ImageSize is { Height: >= 1, Width: >= 1 }, "image-size", ImageSize, "at least 1x1");
        OptionsException.ThrowUnless(Enum.IsDefined(Objective), "objective", Objective, "pred_noise, pred_x0 or pred_v");
        OptionsException.ThrowUnless(Enum.IsDefined(BetaSchedule), "beta-schedule", BetaSchedule, "linear, cosine or sigmoid");
        int fewest = NoiseSchedule.FewestTimesteps(BetaSchedule);
        OptionsException.ThrowUnless(Timesteps >= fewest, "timesteps", Timesteps,
            $"at least {fewest} for a {BetaSchedule.ToString().ToLowerInvariant()} schedule");
        OptionsException.ThrowUnless(SamplingTimesteps is null || (SamplingTimesteps >= 1 && SamplingTimesteps <= Timesteps),
            "sampling-timesteps", SamplingTimesteps, $"1 to timesteps = {Timesteps}");
        OptionsException.ThrowUnless(DdimSamplingEta is >= 0 and <= 1, "ddim-sampling-eta", DdimSamplingEta, "0 to 1");
        OptionsException.ThrowUnless(float.IsFinite(OffsetNoiseStrength) && OffsetNoiseStrength >= 0, "offset-noise-strength",
            OffsetNoiseStrength, "at least 0");
        OptionsException.ThrowUnless(double.IsFinite(MinSnrGamma) && MinSnrGamma > 0, "min-snr-gamma", MinSnrGamma, "more than 0");
    }

    /// <summary>Refuses networks that this process can neither train nor sample.</summary>
    internal void CheckFits(UnetOptions unet)
    {
        string embedding = unet.LearnedSinusoidalCond ? "learned-sinusoidal-cond" : "random-fourier-features";
        OptionsException.ThrowUnless(!unet.HasFourierTime, embedding, true,
            "false: a process of discrete steps wants the fixed time embedding");
        int outputs = unet.Channels * (unet.LearnedVariance ? 2 : 1);
        OptionsException.ThrowUnless(unet.OutputChannels == outputs, "out-dim", unet.OutputChannels,
            $"{outputs}, for images of {unet.Channels} channels");
        bool divides = ImageSize.Height % unet.SizeFactor == 0 && ImageSize.Width % unet.SizeFactor == 0;
        OptionsException.ThrowUnless(divides, "image-size", ImageSize,
            $"a height and width divisible by {unet.SizeFactor} for dim-mults {unet.DimMults}");
    }
}

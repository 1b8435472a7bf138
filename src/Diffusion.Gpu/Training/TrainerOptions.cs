namespace Diffusion.Gpu.Training;

/// <summary>How a model is trained; names and defaults are those of the reference trainer.</summary>
/// <remarks>denoising-diffusion-pytorch 2.3.1, Trainer: Adam's epsilon is 1e-8 without weight decay, the average copies for 100
/// steps.</remarks>
public sealed record TrainerOptions
{
    /// <summary>Images per forward and backward pass.</summary>
    public int TrainBatchSize { get; init; } = 16;

    /// <summary>Passes whose gradients add up to one step.</summary>
    public int GradientAccumulateEvery { get; init; } = 1;

    /// <summary>Whether every image is mirrored left and right in half of the epochs.</summary>
    public bool AugmentHorizontalFlip { get; init; } = true;

    /// <summary>Adam's step size.</summary>
    public double TrainLr { get; init; } = 1e-4;

    /// <summary>Steps at which the run ends.</summary>
    public long TrainNumSteps { get; init; } = 100_000;

    /// <summary>Steps between two updates of the averaged weights.</summary>
    public int EmaUpdateEvery { get; init; } = 10;

    /// <summary>The most that an update keeps of the averaged weights.</summary>
    public double EmaDecay { get; init; } = 0.995;

    /// <summary>Adam's decays of the first and of the second moment.</summary>
    public IReadOnlyList<double> AdamBetas { get; init; } = [0.9, 0.99];

    /// <summary>Steps between two milestones: a grid of samples and a checkpoint.</summary>
    public long SaveAndSampleEvery { get; init; } = 1000;

    /// <summary>Samples in a milestone's grid, laid out in rows of the root of their number, rounded up.</summary>
    public int NumSamples { get; init; } = 25;

    /// <summary>L (grey), RGB or RGBA; null for what the number of channels says, which any other value must agree with.</summary>
    public string? ConvertImageTo { get; init; }

    /// <summary>Gradients are scaled down to this global L2 norm.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Names every random number of the run: weights, data order, mirroring, times, noise and dropout.</summary>
    public ulong Seed { get; init; }

    /// <summary>True resizes images straight to the model's size; false keeps their aspect and cuts out the centre.</summary>
    public bool Squash { get; init; }

    /// <summary>Refuses values that no run can be made with.</summary>
    /// <exception cref="OptionsException">The first option that cannot be used.</exception>
    public void Validate()
    {
        AtLeastOne("train-batch-size", TrainBatchSize);
        AtLeastOne("gradient-accumulate-every", GradientAccumulateEvery);
        OptionsException.ThrowUnless(TrainLr > 0 && double.IsFinite(TrainLr), "train-lr", TrainLr, "a finite number above 0");
        AtLeastOne("train-num-steps", TrainNumSteps);
        OptionsException.ThrowUnless(TrainNumSteps <= uint.MaxValue / GradientAccumulateEvery, "train-num-steps", TrainNumSteps,
            $"at most {uint.MaxValue / GradientAccumulateEvery}, that no random number is drawn twice");
        AtLeastOne("ema-update-every", EmaUpdateEvery);
        OptionsException.ThrowUnless(EmaDecay is >= 0 and < 1, "ema-decay", EmaDecay, "a number from 0 to below 1");
        OptionsException.ThrowUnless(AdamBetas is [>= 0 and < 1, >= 0 and < 1], "adam-betas",
            AdamBetas is null ? null : $"[{string.Join(", ", AdamBetas)}]", "two numbers from 0 to below 1");
        AtLeastOne("save-and-sample-every", SaveAndSampleEvery);
        AtLeastOne("num-samples", NumSamples);
        OptionsException.ThrowUnless(ConvertImageTo is null || ChannelsOf(ConvertImageTo) > 0, "convert-image-to", ConvertImageTo,
            "L, RGB or RGBA");
        OptionsException.ThrowUnless(MaxGradNorm > 0, "max-grad-norm", MaxGradNorm, "a number above 0");
    }

    /// <summary>Channels of a Pillow image mode, 0 for an unknown one.</summary>
    internal static int ChannelsOf(string mode) => mode switch { "L" => 1, "RGB" => 3, "RGBA" => 4, _ => 0 };

    private static void AtLeastOne(string option, long value) => OptionsException.ThrowUnless(value >= 1, option, value, "at least 1");
}

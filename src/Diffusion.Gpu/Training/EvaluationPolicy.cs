using System.Text.Json.Serialization;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Training;

/// <summary>How much a run's samples are scored.</summary>
public enum EvaluationStage
{
    /// <summary>No scores.</summary>
    Off,

    /// <summary>No scores: while a model is being developed, grids of samples tell more per minute.</summary>
    Development,

    /// <summary>10,000 samples at every milestone and at the end: to choose a checkpoint.</summary>
    Validation,

    /// <summary>50,000 samples at the end: the number to report.</summary>
    Final,
}

/// <summary>When samples are scored during training and how they are drawn. What is null is chosen by the stage.</summary>
/// <remarks>denoising-diffusion-pytorch, Trainer: calculate_fid is fid, num_fid_samples keeps its name, inception_block_idx is fid-dims,
/// save_best_and_latest_only keeps its name. None of it touches what training computes.</remarks>
public sealed record EvaluationPolicy
{
    private const int ValidationSamples = 10_000;
    private const int FinalSamples = 50_000;
    private const int ValidationSteps = 15;
    private const int FinalSteps = 25;
    private const string DefaultSampler = "dpm++2m";

    /// <summary>Off, or the stage whose settings hold where nothing else is said.</summary>
    public EvaluationStage Fid { get; init; }

    /// <summary>Images drawn for a score.</summary>
    public int? NumFidSamples { get; init; }

    /// <summary>Training steps between scores; null for every milestone (validation) or the end alone (final).</summary>
    public long? FidEvery { get; init; }

    /// <summary>One of <see cref="Sampler.Names"/>; null for dpm++2m.</summary>
    public string? FidSampler { get; init; }

    /// <summary>Network calls per image; null for 15 (validation) or 25 (final), and all for ddpm.</summary>
    public int? FidSteps { get; init; }

    /// <summary>Images drawn together; null for two training batches. Scores do not depend on it.</summary>
    public int? FidBatch { get; init; }

    /// <summary>Image i of every score is image i that the sampler draws from this seed; training draws nothing from it.</summary>
    public ulong FidSeed { get; init; } = 2020;

    /// <summary>Keeps model-latest and model-best instead of one checkpoint per milestone.</summary>
    public bool SaveBestAndLatestOnly { get; init; }

    /// <summary>Preprocessing of the images; read by the evaluation, not by the trainer.</summary>
    public string FidRecipe { get; init; } = "pytorch-fid";

    /// <summary>Length of a feature vector, which names the layer: 64, 192, 768 or 2048; read by the evaluation.</summary>
    public int FidDims { get; init; } = 2048;

    /// <summary>The network's weights; null for those that were fetched; read by the evaluation.</summary>
    public string? FidWeights { get; init; }

    /// <summary>Statistics of the real images; null for those of the training data; read by the evaluation.</summary>
    public string? FidReference { get; init; }

    /// <summary>Whether anything is scored.</summary>
    [JsonIgnore]
    public bool IsOn => Fid is EvaluationStage.Validation or EvaluationStage.Final;

    /// <summary>Refuses values that no evaluation can be made with.</summary>
    /// <exception cref="OptionsException">The first option that cannot be used.</exception>
    public void Validate()
    {
        AtLeast(2, "num-fid-samples", NumFidSamples);
        AtLeast(1, "fid-every", FidEvery);
        AtLeast(1, "fid-steps", FidSteps);
        AtLeast(1, "fid-batch", FidBatch);
        OptionsException.ThrowUnless(FidSampler is null || Sampler.Names.Contains(FidSampler), "fid-sampler", FidSampler,
            $"one of {string.Join(", ", Sampler.Names)}");
        OptionsException.ThrowUnless(FidDims is 64 or 192 or 768 or 2048, "fid-dims", FidDims, "64, 192, 768 or 2048");
        OptionsException.ThrowUnless(IsOn || !SaveBestAndLatestOnly, "save-best-and-latest-only", "true",
            "false, or fid validation or final, whose scores tell which checkpoint is the best");
    }

    /// <summary>What is done in a run; null where nothing is scored.</summary>
    /// <param name="run">The run's options, this policy among them.</param>
    /// <exception cref="OptionsException">The policy does not go with the other options.</exception>
    public EvaluationPlan? PlanFor(RunOptions run)
    {
        ArgumentNullException.ThrowIfNull(run);
        if (!IsOn)
            return null;
        OptionsException.ThrowUnless(run.Unet.Channels != 4, "channels", run.Unet.Channels,
            "1 or 3 where samples are scored, because Inception takes no alpha (or fid off)");
        bool isFinal = Fid == EvaluationStage.Final;
        int timesteps = run.Diffusion.Timesteps;
        string sampler = FidSampler ?? DefaultSampler;
        OptionsException.ThrowUnless(FidSteps is null || FidSteps <= timesteps, "fid-steps", FidSteps, $"at most timesteps = {timesteps}");
        OptionsException.ThrowUnless(sampler != "ddpm" || FidSteps is null || FidSteps == timesteps, "fid-steps", FidSteps,
            $"none or {timesteps} with the sampler ddpm, which takes every step");
        int steps = sampler == "ddpm" ? timesteps : FidSteps ?? Math.Min(isFinal ? FinalSteps : ValidationSteps, timesteps);
        return new EvaluationPlan(
            NumFidSamples ?? (isFinal ? FinalSamples : ValidationSamples),
            FidEvery ?? (isFinal ? null : run.Trainer.SaveAndSampleEvery),
            sampler, steps, FidBatch ?? 2 * run.Trainer.TrainBatchSize, FidSeed);
    }

    private static void AtLeast(long least, string option, long? value)
        => OptionsException.ThrowUnless(value is null || value >= least, option, value, $"at least {least}");
}

namespace Diffusion.Gpu.Training;

/// <summary>What a training run is busy with.</summary>
public enum TrainingPhase
{
    /// <summary>A step was taken.</summary>
    Training,

    /// <summary>A grid of samples is being drawn from the averaged weights.</summary>
    Sampling,

    /// <summary>A grid of samples was written.</summary>
    Sampled,

    /// <summary>A checkpoint was written.</summary>
    Saved,

    /// <summary>Samples of the averaged weights are being scored.</summary>
    Evaluating,

    /// <summary>A score was recorded.</summary>
    Evaluated,

    /// <summary>The checkpoint of the best score was written.</summary>
    SavedBest,

    /// <summary>The best checkpoint was scored by other settings, cannot be compared, and was set aside under the reported name.</summary>
    SetBestAside,

    /// <summary>A file holds features of other samples or settings; they are computed anew.</summary>
    FeaturesDiscarded,

    /// <summary>A file holds statistics of other real images or settings; they are computed anew.</summary>
    ReferenceDiscarded,
}

/// <summary>How far a training run has come; reported after every step, around milestones, while a grid is drawn or samples are
/// scored.</summary>
/// <param name="Phase">What was done last.</param>
/// <param name="Step">Steps taken since the run began, those before a resume included.</param>
/// <param name="TotalSteps">Steps at which the run ends.</param>
/// <param name="Loss">The last step's loss, the mean over its micro-batches.</param>
/// <param name="GradientNorm">The last step's global L2 norm before clipping.</param>
/// <param name="LearningRate">The last step's learning rate.</param>
/// <param name="ImagesPerSecond">Training images per second, smoothed over the latest steps.</param>
/// <param name="Elapsed">Time spent in this run, before a resume included.</param>
/// <param name="Remaining">Estimated time to the last step; sampling and saving at the milestones counted at their latest cost.</param>
/// <param name="File">The file that was written or discarded, where the phase is about one.</param>
/// <param name="SamplingShare">For <see cref="TrainingPhase.Sampling"/>: how much of the grid is drawn, 0 to 1.</param>
public sealed record TrainingProgress(TrainingPhase Phase, long Step, long TotalSteps, float Loss, float GradientNorm,
    double LearningRate, double ImagesPerSecond, TimeSpan Elapsed, TimeSpan Remaining, string? File = null, double SamplingShare = 0)
{
    /// <summary>For <see cref="TrainingPhase.Evaluating"/>: how far the evaluation is.</summary>
    public EvaluationProgress? Evaluation { get; init; }

    /// <summary>For <see cref="TrainingPhase.Evaluated"/>: the score.</summary>
    public EvaluationRecord? Score { get; init; }
}

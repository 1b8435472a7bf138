namespace Diffusion.Gpu.Training;

/// <summary>What an evaluation is busy with.</summary>
public enum EvaluationWork
{
    /// <summary>Features of the real images; once, then kept.</summary>
    Reference,

    /// <summary>Images are being drawn.</summary>
    Sampling,

    /// <summary>Features of samples.</summary>
    Features,

    /// <summary>Mean and covariance of the features.</summary>
    Statistics,

    /// <summary>The matrix root and the distance.</summary>
    Distance,
}

/// <summary>How far an evaluation has come.</summary>
/// <param name="Work">What is being done.</param>
/// <param name="Done">Images that are done; a batch under way counts by its steps.</param>
/// <param name="Total">Images in all.</param>
/// <param name="SamplingRate">Images drawn per second; 0 before the first.</param>
/// <param name="FeatureRate">Images put through the network per second; 0 before the first.</param>
/// <param name="Remaining">Estimated time to the score, the statistics and the root not counted.</param>
/// <param name="Kept">Images whose features are on the disk: from there a run goes on that is stopped now.</param>
public sealed record EvaluationProgress(EvaluationWork Work, double Done, int Total, double SamplingRate, double FeatureRate,
    TimeSpan Remaining, int Kept);

/// <summary>A score, where it comes from and what it cost.</summary>
public sealed record EvaluationRecord
{
    /// <summary>Training steps of the weights.</summary>
    public required long Step { get; init; }

    /// <summary>The score; lower is better.</summary>
    public required double Fid { get; init; }

    /// <summary>The exact value lies above this.</summary>
    public required double Lower { get; init; }

    /// <summary>The exact value lies below this.</summary>
    public required double Upper { get; init; }

    /// <summary>Images drawn.</summary>
    public required int Samples { get; init; }

    /// <summary>The sampler's name.</summary>
    public required string Sampler { get; init; }

    /// <summary>Network calls per image.</summary>
    public required int Steps { get; init; }

    /// <summary>Seed of the images.</summary>
    public required ulong Seed { get; init; }

    /// <summary>The preprocessing.</summary>
    public required string Recipe { get; init; }

    /// <summary>The network's weights.</summary>
    public required string Weights { get; init; }

    /// <summary>How the matrix root was taken.</summary>
    public required string Root { get; init; }

    /// <summary>Everything that a score depends on beside the model: scores of two protocols cannot be compared.</summary>
    public required string Protocol { get; init; }

    /// <summary>Seconds for drawing, features, statistics and root; after an interruption those of the last part.</summary>
    public required IReadOnlyList<double> Seconds { get; init; }

    /// <summary>Whether this score can be compared with another and is lower, or there is no other.</summary>
    public bool IsBetterThan(EvaluationRecord? other) => other is null || (other.Protocol == Protocol && Fid < other.Fid);
}

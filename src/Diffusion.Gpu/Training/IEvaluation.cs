using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Training;

/// <summary>Scores sets of images by vectors of features; the trainer draws the images and keeps the vectors.</summary>
/// <remarks>The library that computes the Fréchet Inception distance and this one do not know each other: a few lines join them. A vector
/// must not depend on the images that were handed over beside it.</remarks>
public interface IEvaluation
{
    /// <summary>Names everything beside the images that a vector depends on: network, weights, preprocessing, layer.</summary>
    string Key { get; }

    /// <summary>Numbers in a vector.</summary>
    int FeatureLength { get; }

    /// <summary>Computes the features of some images.</summary>
    /// <param name="images">8-bit images.</param>
    /// <param name="names">What to call each in an error.</param>
    /// <param name="features">[images, <see cref="FeatureLength"/>].</param>
    void Extract(IReadOnlyList<PixelImage> images, IReadOnlyList<string> names, Span<float> features);

    /// <summary>Runs everything that comes after the features once, on a few of them, so that faults show before the training.</summary>
    /// <param name="real">Features of real images.</param>
    /// <param name="samples">Features of samples.</param>
    void Check(IFeatureRows real, IFeatureRows samples);

    /// <summary>Looks for statistics of the real images and makes them the reference if they are the right ones.</summary>
    /// <param name="path">Where <see cref="MakeReference"/> put them; an evaluation that was given others uses those.</param>
    /// <param name="key">What they must belong to.</param>
    ReferenceState OpenReference(string path, string key);

    /// <summary>Makes the reference from features of all real images and keeps it in a file.</summary>
    /// <param name="real">Features of the real images, in the order of the files.</param>
    /// <param name="path">The file.</param>
    /// <param name="key">What the statistics belong to; written with them.</param>
    void MakeReference(IFeatureRows real, string path, string key);

    /// <summary>Compares samples with the reference.</summary>
    /// <param name="samples">Features of the samples.</param>
    /// <param name="report">Told what is being done and how many samples have been taken in.</param>
    EvaluationScore Score(IFeatureRows samples, Action<EvaluationWork, int> report);
}

/// <summary>Vectors of features, one per image.</summary>
public interface IFeatureRows
{
    /// <summary>Number of vectors.</summary>
    int Count { get; }

    /// <summary>Numbers in a vector.</summary>
    int Length { get; }

    /// <summary>Copies vectors that follow one another.</summary>
    /// <param name="first">The first, from 0.</param>
    /// <param name="rows">[any number, <see cref="Length"/>].</param>
    void Read(int first, Span<float> rows);
}

/// <summary>What was found where the statistics of the real images should be.</summary>
public enum ReferenceState
{
    /// <summary>The right statistics.</summary>
    Ready,

    /// <summary>Nothing.</summary>
    Missing,

    /// <summary>Statistics of other images or by other settings.</summary>
    Stale,
}

/// <summary>What an evaluation made of a set of samples.</summary>
/// <param name="Value">The score; lower is better.</param>
/// <param name="Lower">The exact value lies above this.</param>
/// <param name="Upper">The exact value lies below this.</param>
/// <param name="Recipe">The preprocessing.</param>
/// <param name="WeightsId">The network's weights.</param>
/// <param name="Root">How the matrix root was taken.</param>
/// <param name="StatisticsSeconds">Time for mean and covariance.</param>
/// <param name="DistanceSeconds">Time for root and distance.</param>
public sealed record EvaluationScore(double Value, double Lower, double Upper, string Recipe, string WeightsId, string Root,
    double StatisticsSeconds, double DistanceSeconds);

namespace Diffusion.Gpu.Fid;

/// <summary>A Fréchet Inception distance with all that it depends on.</summary>
public sealed record FidResult
{
    /// <summary>The distance; lower is more alike.</summary>
    public required double Fid { get; init; }

    /// <summary>The exact distance of the features lies above this.</summary>
    public required double Lower { get; init; }

    /// <summary>The exact distance of the features lies below this.</summary>
    public required double Upper { get; init; }

    /// <summary>The distance extrapolated to any number of images, from halves of the sets; null where a set of images has fewer than 2.5
    /// for each dim, or both sides are files. A side that is a file is taken to be exact.</summary>
    public required double? Extrapolated { get; init; }

    /// <summary>Standard error of <see cref="Fid"/> and <see cref="Extrapolated"/> from one draw of the images to another, by quarters of
    /// the sets; null as for <see cref="Extrapolated"/>.</summary>
    public required double? StandardError { get; init; }

    /// <summary>Name of the recipe; "unknown" where two files of statistics that do not say were compared.</summary>
    public required string Recipe { get; init; }

    /// <summary>Digest of the network's weights; "unknown" as for <see cref="Recipe"/>.</summary>
    public required string WeightsId { get; init; }

    /// <summary>File name of the weights, or what they are.</summary>
    public required string WeightsLabel { get; init; }

    /// <summary>Images of the first set; null where its file does not say.</summary>
    public required long? CountA { get; init; }

    /// <summary>Images of the second set; null where its file does not say.</summary>
    public required long? CountB { get; init; }

    /// <summary>Features per image.</summary>
    public required int Dims { get; init; }

    /// <summary>Where it was computed.</summary>
    public required string Device { get; init; }

    /// <summary>Of the network's products; statistics and root are in 64 bits.</summary>
    public required string Precision { get; init; }

    /// <summary>How the matrix root was taken, in words.</summary>
    public required string Root { get; init; }

    /// <summary>Seconds for reading images and their features.</summary>
    public required double FeatureSeconds { get; init; }

    /// <summary>Seconds for means and covariances.</summary>
    public required double StatisticsSeconds { get; init; }

    /// <summary>Seconds for the root and the distance.</summary>
    public required double RootSeconds { get; init; }
}

/// <summary>What a comparison is busy with.</summary>
public enum FidWork
{
    /// <summary>Features and statistics of images.</summary>
    Images,

    /// <summary>The matrix root and the distance.</summary>
    Root,
}

/// <summary>How far a comparison has come.</summary>
/// <param name="Work">What is being done.</param>
/// <param name="Source">The folder or archive whose images are seen; both for the root.</param>
/// <param name="Done">Images of it that are done.</param>
/// <param name="Total">Images of it.</param>
/// <param name="ImagesPerSecond">Rate so far.</param>
/// <param name="Remaining">Estimated time for the rest of it.</param>
public sealed record FidProgress(FidWork Work, string Source, int Done, int Total, double ImagesPerSecond, TimeSpan Remaining);

using System.Diagnostics;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid;

/// <summary>Compares sets of images by the Fréchet Inception distance: folders, zip archives and files of statistics.</summary>
/// <remarks>Heusel et al., 2017. Memory does not depend on the number of images. Images that cannot be decoded are an error, because a
/// score of fewer images than there are would be another one.</remarks>
public sealed class FidScorer : IDisposable
{
    private const int DefaultDims = 2048;

    private readonly Lazy<InceptionWeights> _weights;
    private readonly FidOptions _options;
    private FeatureExtractor? _extractor;

    /// <summary>Prepares comparisons.</summary>
    /// <param name="device">Where everything is computed.</param>
    /// <param name="weights">Inception's weights; null for those that were fetched, which are read when images are first seen.</param>
    /// <param name="options">How images are compared; null for pytorch-fid's way.</param>
    public FidScorer(Device device, InceptionWeights? weights = null, FidOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        Device = device;
        _weights = weights is null ? new(InceptionWeights.ReadDefault) : new(weights);
        _options = options ?? new FidOptions();
    }

    /// <summary>Where everything is computed.</summary>
    public Device Device { get; }

    /// <summary>Computes the distance of two sets.</summary>
    /// <param name="a">A folder, a zip archive of images, or an .npz file of statistics.</param>
    /// <param name="b">The same: the reference.</param>
    /// <param name="progress">Told of every few batches.</param>
    /// <param name="cancellation">Heard between them.</param>
    /// <exception cref="ImageFormatException">A side has fewer than two images, or one that cannot be used.</exception>
    /// <exception cref="WeightsException">Weights are not there, a file holds no statistics, or the sides do not go together.</exception>
    public FidResult Compare(string a, string b, IProgress<FidProgress>? progress = null, CancellationToken cancellation = default)
    {
        // Everything that can be refused is, before the first image is seen.
        var (filedA, filedB) = (ReadFiled(a), ReadFiled(b));
        int dims = _options.Dims ?? filedA?.Dims ?? filedB?.Dims ?? DefaultDims;
        bool hasParts = filedA is null || filedB is null;
        foreach (var (path, filed) in new[] { (a, filedA), (b, filedB) })
        {
            if (filed is null)
                hasParts &= CountImages(path) >= SamplingError.LeastImagesPerDim * dims;
            else if (filedA is null || filedB is null)
                ReferenceStatistics.Check(path, filed, dims, _options.Recipe, _weights.Value.Id);
        }
        if (filedA is not null && filedB is not null)
            CheckAlike(a, filedA, b, filedB);
        var watch = new Watch();
        var (first, partsA) = filedA is null ? Collect(a, dims, hasParts, progress, watch, cancellation) : (filedA, null);
        var (second, partsB) = filedB is null ? Collect(b, dims, hasParts, progress, watch, cancellation) : (filedB, null);
        progress?.Report(new FidProgress(FidWork.Root, $"{a}, {b}", 0, 0, 0, TimeSpan.Zero));
        var distance = FrechetDistance.Compute(first, second, Device);
        SamplingEstimate? estimate = hasParts ? SamplingError.Estimate(distance.Value, partsA ?? SetParts.Of(first),
            partsB ?? SetParts.Of(second), Device) : null;
        return new FidResult
        {
            Fid = distance.Value,
            Lower = distance.Lower,
            Upper = distance.Upper,
            Extrapolated = estimate?.Value,
            StandardError = estimate?.StandardError,
            Recipe = first.Recipe ?? second.Recipe ?? "unknown",
            WeightsId = first.Weights ?? second.Weights ?? "unknown",
            WeightsLabel = filedA is null || filedB is null ? _weights.Value.Label
                : (first.Weights ?? second.Weights) is null ? "not named by the files of statistics" : "those of the files of statistics",
            CountA = first.Count,
            CountB = second.Count,
            Dims = first.Dims,
            Device = Device.Info.Id,
            Precision = Device.Precision.ToString().ToLowerInvariant(),
            Root = distance.Root,
            FeatureSeconds = watch.Features.Elapsed.TotalSeconds,
            StatisticsSeconds = watch.Statistics.Elapsed.TotalSeconds,
            RootSeconds = distance.Seconds,
        };
    }

    /// <summary>Computes the statistics of a set of images.</summary>
    /// <param name="images">A folder or zip archive.</param>
    /// <param name="progress">Told of every few batches.</param>
    /// <param name="cancellation">Heard between them.</param>
    /// <returns>With recipe and weights, ready to be written.</returns>
    /// <exception cref="ImageFormatException">There are fewer than two images, or one cannot be used; the message names it.</exception>
    /// <exception cref="WeightsException">The weights are not there.</exception>
    public GaussianStatistics Statistics(string images, IProgress<FidProgress>? progress = null, CancellationToken cancellation = default)
    {
        CountImages(images);
        return Collect(images, _options.Dims ?? DefaultDims, hasParts: false, progress, new Watch(), cancellation).Whole;
    }

    /// <summary>Returns the network's memory; the device stays open.</summary>
    public void Dispose() => _extractor?.Dispose();

    private static GaussianStatistics? ReadFiled(string path) => ReferenceStatistics.IsFile(path) ? GaussianStatistics.Read(path) : null;

    private static int CountImages(string path)
    {
        using var folder = ImageFolder.Open(path);
        if (folder.Count < 2)
            throw new ImageFormatException(path, $"holds {folder.Count} image", "a covariance needs at least two: add images");
        return folder.Count;
    }

    private void CheckAlike(string a, GaussianStatistics filedA, string b, GaussianStatistics filedB)
    {
        if (_options.Dims is { } dims && dims != filedA.Dims)
        {
            throw new WeightsException(a, null, $"holds statistics of {filedA.Dims} dims",
                $"expected {dims}: leave the dims out or name those of the file");
        }
        if (filedA.Dims != filedB.Dims)
        {
            throw new WeightsException(b, null, $"holds statistics of {filedB.Dims} dims",
                $"expected {filedA.Dims}, as {a} has: use the same dims for both");
        }
        if (filedA.Recipe is { } recipe && filedB.Recipe is { } other && recipe != other)
        {
            throw new WeightsException(b, null, $"was made by the recipe {other}",
                $"expected {recipe}, as {a} was: scores of two recipes do not compare");
        }
        if (filedA.Weights is { } weights && filedB.Weights is { } others && weights != others)
            throw new WeightsException(b, null, $"was made with the weights {others}", $"expected {weights}, as {a} was");
    }

    private (GaussianStatistics Whole, SetParts? Parts) Collect(string path, int dims, bool hasParts, IProgress<FidProgress>? progress,
        Watch watch, CancellationToken cancellation)
    {
        if (_extractor?.Dims != dims)
        {
            _extractor?.Dispose();
            _extractor = new FeatureExtractor(Device, _weights.Value, _options.Recipe, dims, _options.Batch);
        }
        using var folder = ImageFolder.Open(path);
        using var statistics = new PartedStatistics(Device, dims, hasParts);
        var clock = Stopwatch.StartNew();
        for (int done = 0; done < folder.Count;)
        {
            cancellation.ThrowIfCancellationRequested();
            var images = new FolderImages(folder, done, Math.Min(_extractor.ImagesAtATime, folder.Count - done));
            watch.Features.Start();
            _extractor.Extract(images, images.Names, features =>
            {
                watch.Features.Stop();
                watch.Statistics.Start();
                statistics.Add(features);
                watch.Statistics.Stop();
                watch.Features.Start();
            });
            watch.Features.Stop();
            done += images.Count;
            double rate = done / clock.Elapsed.TotalSeconds;
            var left = TimeSpan.FromSeconds((folder.Count - done) / rate);
            progress?.Report(new FidProgress(FidWork.Images, path, done, folder.Count, rate, left));
        }
        watch.Statistics.Start();
        var finished = statistics.Finish().MadeBy(_options.Recipe.Name(), _extractor.WeightsId);
        var parts = hasParts ? statistics.FinishParts() : null;
        watch.Statistics.Stop();
        return (finished, parts);
    }

    private sealed class Watch
    {
        public Stopwatch Features { get; } = new();

        public Stopwatch Statistics { get; } = new();
    }

    /// <summary>A part of a folder; an image is decoded when it is asked for.</summary>
    private sealed class FolderImages(ImageFolder folder, int first, int count) : IReadOnlyList<PixelImage>
    {
        public int Count => count;

        public string[] Names { get; } = [.. Enumerable.Range(first, count).Select(i => $"{folder.Path}/{folder.Name(i)}")];

        public PixelImage this[int index] => folder.Load(first + index);

        public IEnumerator<PixelImage> GetEnumerator() => Enumerable.Range(0, count).Select(i => this[i]).GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}

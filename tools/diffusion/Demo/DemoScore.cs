using System.Globalization;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Cli.Demo;

/// <summary>Scores the demo's samples without a download: by weights from a hash, which compare with nothing but themselves.</summary>
internal static class DemoScore
{
    private const int Dims = 64;

    /// <summary>Landscapes that both sets are compared with.</summary>
    private const int Real = 256;

    /// <summary>Compares samples, and as many landscapes that were not trained on, with landscapes of the data set.</summary>
    /// <param name="deviceId">Where to compute.</param>
    /// <param name="samples">The samples' files.</param>
    /// <param name="seed">Of the data set.</param>
    /// <param name="firstUnseen">Index of the first landscape that is not in the data set.</param>
    /// <returns>The line to print.</returns>
    public static string Describe(string deviceId, IReadOnlyList<string> samples, ulong seed, int firstUnseen)
    {
        using var device = Device.Open(deviceId);
        var weights = InceptionWeights.Hash();
        using var extractor = new FeatureExtractor(device, weights, dims: Dims);
        var painter = new LandscapePainter(seed);
        var real = StatisticsOf(extractor, [.. Enumerable.Range(0, Real).Select(Landscape)]);
        double drawn = Distance([.. samples.Select(file => ImageCodec.Default.Decode(file, File.ReadAllBytes(file)))]);
        double unseen = Distance([.. Enumerable.Range(firstUnseen, samples.Count).Select(Landscape)]);
        return string.Create(CultureInfo.InvariantCulture,
            $"FID of {samples.Count} samples {drawn:F3}, of as many landscapes that were not trained on {unseen:F3} ")
            + $"({Dims} dims, {weights.Label})";

        PixelImage Landscape(int index) => new(LandscapePainter.Size, LandscapePainter.Size, 3, painter.Paint(index));

        double Distance(PixelImage[] images) => FrechetDistance.Compute(StatisticsOf(extractor, images), real, device).Value;
    }

    private static GaussianStatistics StatisticsOf(FeatureExtractor extractor, PixelImage[] images)
    {
        using var statistics = new FeatureStatistics(extractor.Device, extractor.Dims);
        extractor.Extract(images, names: null, statistics.Add);
        return statistics.Finish();
    }
}

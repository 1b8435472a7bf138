using Diffusion.Gpu.Fid.Tests.Inception;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Two folders of photographs, from JPEG to score, beside what pytorch-fid made of them with the same weights.</summary>
public sealed class PytorchFidTests
{
    /// <summary>Rounding of a normalised network in 32-bit floats, which both sides have, moves a score by about a
    /// hundred-thousandth.</summary>
    private const double Tolerance = 1e-4;

    [TestCase(64, 2.5686796814201323)]
    [TestCase(192, 7.650625666163386)]
    [TestCase(768, 27.72097181578694)]
    [TestCase(2048, 113.42484490796693)]
    public void Score_is_that_of_pytorch_fid(int dims, double expected)
    {
        var device = TestDevices.Open("cpu");
        using var extractor = new FeatureExtractor(device, InceptionGolden.Weights("calibrated"), FidRecipe.PytorchFid, dims);
        var result = FrechetDistance.Compute(Statistics(extractor, "a"), Statistics(extractor, "b"), device);
        Assert.That(result.Value, Is.EqualTo(expected).Within(Tolerance * expected));
        Assert.That(expected, Is.InRange(result.Lower * (1 - Tolerance), result.Upper * (1 + Tolerance)));
    }

    private static GaussianStatistics Statistics(FeatureExtractor extractor, string name)
    {
        using var folder = ImageFolder.Open(Path.Combine(AppContext.BaseDirectory, "Golden", "fid", "pytorch-fid", name));
        using var statistics = new FeatureStatistics(extractor.Device, extractor.Dims);
        extractor.Extract([.. Enumerable.Range(0, folder.Count).Select(folder.Load)], names: null, statistics.Add);
        return statistics.Finish();
    }
}

using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Distances against the reference programs' golden numbers.</summary>
public sealed class FrechetDistanceTests
{
    private static string[] Small => FrechetGolden.Names("fid/frechet");

    private static string[] Large => FrechetGolden.Names("fid/frechet_2048");

    [Test]
    public void Hash_features_are_the_documented_ones()
    {
        float[] features = HashFeatures.Make("fid2048/a", 2, 2048);
        Assert.That(features[..6], Is.EqualTo(new[] { 0.5075334906578064f, 0.6728583574295044f, 0.20556867122650146f, 0.768274188041687f,
            1.4420549869537354f, -0.16104364395141602f }));
        Assert.That(features[2048..2051], Is.EqualTo(new[] { 0.6078410148620605f, 0.21120533347129822f, 0.3133677840232849f }));
    }

    /// <summary>Every path, with the features and, as from a file, without.</summary>
    [Test]
    public void Distance_matches_golden_numbers([ValueSource(nameof(Small))] string name, [Values] bool keepsFeatures,
        [Values(RootMethod.Eigenvalues, RootMethod.Float64Ladder, RootMethod.Float32Ladder)] RootMethod method)
        => Check("cpu", "fid/frechet", name, keepsFeatures, method);

    [TestCaseSource(nameof(Large))]
    public void Distance_matches_golden_numbers_of_2048_dims(string name)
        => Check("cpu", "fid/frechet_2048", name, true, RootMethod.Chosen);

    [TestCase("rank_deficient_n36_40", RootMethod.Float64Ladder)]
    [TestCase("rank_deficient_n36_40", RootMethod.Float32Ladder)]
    [TestCase("hash_rank_deficient", RootMethod.Float32Ladder)]
    public void Distance_matches_golden_numbers_of_2048_dims_by_the_ladder(string name, RootMethod method)
        => Check("cpu", "fid/frechet_2048", name, true, method);

    [Test]
    public void Distance_matches_golden_numbers_on_a_GPU([ValueSource(nameof(GpuCases))] (string Device, string Case) test)
    {
        var result = Check(test.Device, "fid/frechet", test.Case, true, RootMethod.Chosen);
        Assert.That(result.Root, Does.Contain("polar ladder"));
    }

    private static IEnumerable<(string Device, string Case)> GpuCases
        => TestDevices.Fast.Where(id => id != "cpu").SelectMany(id => Small.Where(name => name != "hash_d768").Select(name => (id, name)));

    [Test]
    public void Distance_refuses_statistics_of_different_dims()
    {
        var device = TestDevices.Open("cpu");
        var one = new GaussianStatistics([0], [1]);
        var two = new GaussianStatistics([0, 0], [1, 0, 0, 1]);
        Assert.That(() => FrechetDistance.Compute(one, two, device), Throws.ArgumentException.With.Message.Contains("1 and of 2 dims"));
    }

    /// <summary>Rounding gives the singular matrices negative eigenvalues of size 1e-7.</summary>
    [Test]
    public void Distance_has_wide_bounds_when_covariances_were_rounded_to_32_bits()
    {
        using var golden = FrechetGolden.Open("fid/frechet", "d192_n64_rank_deficient");
        var device = TestDevices.Open("cpu");
        var (a, b) = golden.Statistics(device, keepsFeatures: false);
        var result = FrechetDistance.Compute(Rounded(a), Rounded(b), device);
        Assert.That(result.Shift, Is.InRange(1e-9, 1e-4));
        Assert.That(result.Value, Is.EqualTo(golden.Truth).Within(0.2));
        Assert.That(golden.Truth, Is.InRange(result.Lower, result.Upper));

        static GaussianStatistics Rounded(GaussianStatistics statistics)
            => new(statistics.Mean, Array.ConvertAll(statistics.Covariance, value => (double)(float)value));
    }

    [Test]
    public void Distance_refuses_a_matrix_with_large_negative_eigenvalues()
    {
        var device = TestDevices.Open("cpu");
        var good = new GaussianStatistics([0, 0], [1, 0, 0, 1]);
        var bad = new GaussianStatistics([0, 0], [1, 2, 2, 1]);
        Assert.That(() => FrechetDistance.Compute(bad, bad, device), Throws.ArgumentException.With.Message.Contains("no covariance"));
    }

    private static FrechetResult Check(string id, string file, string name, bool keepsFeatures, RootMethod method)
    {
        using var golden = FrechetGolden.Open(file, name);
        var device = TestDevices.Open(id);
        var (a, b) = golden.Statistics(device, keepsFeatures);
        var result = FrechetDistance.Compute(a, b, device, method);
        TestContext.Out.WriteLine($"{result}, truth {golden.Truth}, error {result.Value - golden.Truth:G3} of {golden.Tolerance:G3}");
        Assert.That(result.Value, Is.EqualTo(golden.Truth).Within(golden.Tolerance));
        double rounding = golden.Tolerance / 100;
        Assert.That(golden.Truth, Is.InRange(result.Lower - rounding, result.Upper + rounding));
        if (golden.MeanTerm is { } mean)
            Assert.That(result.MeanTerm, Is.EqualTo(mean).Within(1e-12 * (1 + mean)));
        return result;
    }
}

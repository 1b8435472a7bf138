using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Streaming mean and covariance against the textbook's two passes, on every device.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class FeatureStatisticsTests(string id)
{
    private Device On => TestDevices.Open(id);

    [TestCase(2, 1)]
    [TestCase(7, 5)]
    [TestCase(40, 65)]
    [TestCase(513, 30)]
    [TestCase(1500, 67)]
    public void Statistics_match_two_passes(int count, int dims)
    {
        float[] features = HashFeatures.Make("two passes", count, dims);
        var statistics = Of(features, dims);
        var (mean, covariance) = TwoPasses(features, dims);
        Assert.That(statistics.Mean, Is.EqualTo(mean).Within(1e-13));
        Assert.That(statistics.Covariance, Is.EqualTo(covariance).Within(1e-13));
        Assert.That(statistics.Count, Is.EqualTo(count));
        Assert.That(statistics.KeepsFeatures, Is.EqualTo(count <= dims));
    }

    [Test]
    public void Statistics_are_the_same_bits_for_every_way_to_batch()
    {
        const int Dims = 21, Count = 1100;
        float[] features = HashFeatures.Make("batches", Count, Dims);
        var whole = Of(features, Dims);
        foreach (int batch in new[] { 1, 50, 511, 700 })
        {
            using var statistics = new FeatureStatistics(On, Dims);
            for (int row = 0; row < Count; row += batch)
                statistics.Add(features.AsSpan(row * Dims, Math.Min(batch, Count - row) * Dims));
            var finished = statistics.Finish();
            Assert.That(finished.Mean, Is.EqualTo(whole.Mean), $"batches of {batch}");
            Assert.That(finished.Covariance, Is.EqualTo(whole.Covariance), $"batches of {batch}");
        }
    }

    [TestCase(300, 900)]
    [TestCase(900, 300)]
    [TestCase(30, 20)]
    [TestCase(1, 1)]
    [TestCase(0, 60)]
    [TestCase(60, 0)]
    public void Merged_parts_equal_the_whole(int first, int second)
    {
        const int Dims = 64;
        float[] features = HashFeatures.Make("merge", first + second, Dims);
        var whole = Of(features, Dims);
        using FeatureStatistics a = new(On, Dims), b = new(On, Dims);
        a.Add(features.AsSpan(0, first * Dims));
        b.Add(features.AsSpan(first * Dims));
        a.Merge(b);
        var merged = a.Finish();
        Assert.That(merged.Mean, Is.EqualTo(whole.Mean).Within(1e-14));
        Assert.That(merged.Covariance, Is.EqualTo(whole.Covariance).Within(1e-13));
        Assert.That(merged.Count, Is.EqualTo(first + second));
        Assert.That(merged.KeepsFeatures, Is.EqualTo(whole.KeepsFeatures));
        if (merged.KeepsFeatures)
            Assert.That(merged.FactorOn(null)!.Values, Is.EqualTo(whole.FactorOn(null)!.Values).Within(1e-14));
    }

    /// <summary>Covariances do not know the offset; 4096 leaves the features' 11 lowest bits of 24.</summary>
    [Test]
    public void Covariance_keeps_its_digits_when_features_lie_far_from_zero()
    {
        const int Dims = 17, Count = 2000;
        float[] features = Array.ConvertAll(HashFeatures.Make("offset", Count, Dims), value => MathF.Round(value * 1024) / 1024);
        float[] shifted = Array.ConvertAll(features, value => value + 4096);
        Assert.That(Of(shifted, Dims).Covariance, Is.EqualTo(Of(features, Dims).Covariance).Within(1e-13));
    }

    [Test]
    public void Kept_features_are_a_factor_of_the_covariance()
    {
        const int Dims = 40, Count = 33;
        var statistics = Of(HashFeatures.Make("factor", Count, Dims), Dims);
        var factor = statistics.FactorOn(null)!;
        Assert.That((factor.Rows, factor.IsCholesky, factor.Shift), Is.EqualTo((Count, false, 0.0)));
        for (int i = 0; i < Dims; i++)
        {
            double product = Enumerable.Range(0, Count).Sum(row => factor.Values[(row * Dims) + i] * factor.Values[row * Dims]);
            Assert.That(product, Is.EqualTo(statistics.Covariance[i]).Within(1e-13));
        }
    }

    [Test]
    public void Memory_does_not_grow_with_the_number_of_images()
    {
        const int Dims = 48;
        long Peak(int count)
        {
            using var statistics = new FeatureStatistics(On, Dims);
            for (int batch = 0; batch < count / 500; batch++)
                statistics.Add(HashFeatures.Make($"memory {batch}", 500, Dims));
            return On.Memory.Live;
        }
        Assert.That(Peak(6000), Is.EqualTo(Peak(1500)));
    }

    [Test]
    public void Finish_refuses_fewer_than_two_images_and_features_that_are_not_finite()
    {
        using var statistics = new FeatureStatistics(On, 3);
        Assert.That(statistics.Finish, Throws.InvalidOperationException.With.Message.Contains("at least two images, but there is none"));
        statistics.Add([1, 2, 3]);
        Assert.That(statistics.Finish, Throws.InvalidOperationException.With.Message.Contains("one"));
        statistics.Add([1, float.NaN, 3]);
        Assert.That(statistics.Finish, Throws.InvalidOperationException.With.Message.Contains("feature 1"));
    }

    [Test]
    public void Add_and_Merge_refuse_other_dims()
    {
        using FeatureStatistics three = new(On, 3), four = new(On, 4);
        using var tensor = On.NewTensor([2, 4], new float[8]);
        Assert.That(() => three.Add(tensor), Throws.TypeOf<ShapeException>().With.Message.Contains("[images, 3]"));
        Assert.That(() => three.Add(new float[4]), Throws.TypeOf<ShapeException>().With.Message.Contains("multiple of 3"));
        Assert.That(() => three.Merge(four), Throws.ArgumentException.With.Message.Contains("4 dims"));
        Assert.That(() => three.Merge(three), Throws.ArgumentException.With.Message.Contains("themselves"));
    }

    [TearDown]
    public void NothingWasWrittenBesideATensor() => Assert.That(On.TakeStrayWrites(), Is.Empty);

    private GaussianStatistics Of(float[] features, int dims)
    {
        using var statistics = new FeatureStatistics(On, dims);
        using var tensor = On.NewTensor([features.Length / dims, dims], features);
        statistics.Add(tensor);
        return statistics.Finish();
    }

    private static (double[] Mean, double[] Covariance) TwoPasses(float[] features, int dims)
    {
        int count = features.Length / dims;
        var mean = new double[dims];
        for (int i = 0; i < features.Length; i++)
            mean[i % dims] += (double)features[i] / count;
        var covariance = new double[dims * dims];
        for (int row = 0; row < count; row++)
        {
            for (int i = 0; i < covariance.Length; i++)
            {
                double left = features[(row * dims) + (i / dims)] - mean[i / dims];
                double right = features[(row * dims) + (i % dims)] - mean[i % dims];
                covariance[i] += left * right / (count - 1);
            }
        }
        return (mean, covariance);
    }
}

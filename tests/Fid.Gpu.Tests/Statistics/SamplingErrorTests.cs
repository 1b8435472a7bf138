using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>The extrapolated distance and its standard error beside a direct computation and beside known distances.</summary>
public sealed class SamplingErrorTests
{
    private static Device Cpu => TestDevices.Open("cpu");

    [TestCase(1)]
    [TestCase(7)]
    [TestCase(64)]
    public void Estimate_is_that_of_parts_made_by_hand(int batch)
    {
        const int Dims = 6;
        float[] a = HashFeatures.Make("sampling a", 203, Dims), b = HashFeatures.Make("sampling b", 150, Dims);
        var (wholeA, partsA) = Parted(a, Dims, batch);
        var (wholeB, partsB) = Parted(b, Dims, batch);
        double value = Distance(wholeA, wholeB);
        var estimate = SamplingError.Estimate(value, partsA, partsB, Cpu);

        double halves = 0.5 * (Distance(Of(a, Dims, 0, 2), Of(b, Dims, 0, 2)) + Distance(Of(a, Dims, 1, 3), Of(b, Dims, 1, 3)));
        double[] quarters = [.. Enumerable.Range(0, 4).Select(q => Distance(Of(a, Dims, q), Of(b, Dims, q)))];
        double mean = quarters.Sum() / 4, squares = quarters.Sum(q => Math.Pow(q - mean, 2));
        Assert.That(value, Is.EqualTo(Distance(Of(a, Dims, 0, 1, 2, 3), Of(b, Dims, 0, 1, 2, 3))).Within(1e-12));
        Assert.That(estimate.Value, Is.EqualTo((2 * value) - halves).Within(1e-10));
        Assert.That(estimate.StandardError, Is.EqualTo(Math.Sqrt(squares / 3 / 4)).Within(1e-10));
        var against = SamplingError.Estimate(value, partsA, SetParts.Of(wholeB), Cpu);
        halves = 0.5 * (Distance(Of(a, Dims, 0, 2), wholeB) + Distance(Of(a, Dims, 1, 3), wholeB));
        Assert.That(against.Value, Is.EqualTo((2 * value) - halves).Within(1e-10));
    }

    /// <summary>Two sets of one distribution: their distance is bias alone. Shifted by d in every feature, it is dims · d² beside
    /// that.</summary>
    [TestCase(0)]
    [TestCase(0.25)]
    public void Bias_goes_and_the_deviation_is_that_of_other_draws(double shift)
    {
        const int Dims = 24, Count = 480, Draws = 8;
        double truth = Dims * shift * shift;
        double[] raw = new double[Draws], extrapolated = new double[Draws], errors = new double[Draws];
        for (int draw = 0; draw < Draws; draw++)
        {
            float[] b = Array.ConvertAll(HashFeatures.Make($"draw {draw} b", Count, Dims), value => (float)(value + shift));
            var (wholeA, partsA) = Parted(HashFeatures.Make($"draw {draw} a", Count, Dims), Dims, 50);
            var (wholeB, partsB) = Parted(b, Dims, 50);
            raw[draw] = Distance(wholeA, wholeB);
            var estimate = SamplingError.Estimate(raw[draw], partsA, partsB, Cpu);
            (extrapolated[draw], errors[draw]) = (estimate.Value, estimate.StandardError);
        }
        double mean = extrapolated.Average(), deviation = Math.Sqrt(extrapolated.Sum(e => (e - mean) * (e - mean)) / (Draws - 1));
        TestContext.Out.WriteLine($"truth {truth}, raw {raw.Average():G4}, extrapolated {mean:G4} ± {deviation:G2}, "
            + $"said {errors.Average():G2}");
        Assert.That(Math.Abs(mean - truth), Is.LessThan(0.25 * Math.Abs(raw.Average() - truth)));
        Assert.That(errors.Average(), Is.InRange(deviation / 2, deviation * 2));
    }

    private static (GaussianStatistics Whole, SetParts Parts) Parted(float[] features, int dims, int batch)
    {
        using var statistics = new PartedStatistics(Cpu, dims, hasParts: true);
        foreach (float[] rows in features.Chunk(batch * dims))
        {
            using var tensor = Cpu.NewTensor([rows.Length / dims, dims], rows);
            statistics.Add(tensor);
        }
        return (statistics.Finish(), statistics.FinishParts());
    }

    /// <summary>Statistics of some quarters; every eight images are the next quarter's.</summary>
    private static GaussianStatistics Of(float[] features, int dims, params int[] quarters)
    {
        using var statistics = new FeatureStatistics(Cpu, dims);
        statistics.Add([.. features.Where((_, i) => quarters.Contains(i / dims / 8 % 4))]);
        return statistics.Finish();
    }

    private static double Distance(GaussianStatistics a, GaussianStatistics b) => FrechetDistance.Compute(a, b, Cpu).Value;
}

using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Factors of covariances that every device finds, beside the covariance itself and the host's factor.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class CholeskyTests(string id)
{
    private Device On => TestDevices.Open(id);

    [TestCase(1, 30)]
    [TestCase(63, 300)]
    [TestCase(64, 300)]
    [TestCase(65, 300)]
    [TestCase(192, 700)]
    public void Factor_is_the_host_s_when_the_covariance_is_regular(int dims, int images)
    {
        var covariance = Covariance(dims, images);
        var factor = Cholesky.Factor(covariance, dims, On)!;
        var expected = Cholesky.Factor(covariance, dims)!;
        Assert.That((factor.Rows, factor.IsCholesky, factor.Shift), Is.EqualTo((dims, true, 1e-15)));
        Assert.That(factor.Values, Is.EqualTo(expected.Values).Within(1e-12));
        Assert.That(Difference(factor, covariance), Is.LessThan(1e-14));
    }

    /// <summary>Fewer images than dims; features scaled by up to 1e±4; one in seven without variance.</summary>
    [TestCase(65, 30)]
    [TestCase(192, 64)]
    [TestCase(192, 190)]
    public void Factor_of_a_singular_covariance_is_shifted_by_rounding_alone(int dims, int images)
    {
        double[] covariance = Covariance(dims, images, i => i % 7 == 3 ? 0 : Math.Pow(10, (i % 9) - 4));
        var factor = Cholesky.Factor(covariance, dims, On)!;
        Assert.That(factor.Shift, Is.InRange(1e-15, Cholesky.RoundingShift));
        Assert.That(Difference(factor, covariance), Is.LessThan((2 * factor.Shift) + 1e-14));
        Assert.That(factor.Values.Skip(3 * dims).Take(dims), Is.All.Zero, "a feature without variance");
    }

    [Test]
    public void Matrix_that_is_no_covariance_has_no_factor()
    {
        const int Dims = 130;
        double[] matrix = Covariance(Dims, 400);
        (matrix[(100 * Dims) + 2], matrix[(2 * Dims) + 100]) = (1e3, 1e3);
        Assert.That(Cholesky.Factor(matrix, Dims, On), Is.Null);
        Assert.That(Cholesky.Factor([0, 0, 0, 0], 2, On)!.Values, Is.All.Zero);
    }

    [TearDown]
    public void NothingWasWrittenBesideATensor() => Assert.That(On.TakeStrayWrites(), Is.Empty);

    private static double[] Covariance(int dims, int images, Func<int, double>? scale = null)
    {
        float[] features = HashFeatures.Make("Cholesky", images, dims);
        using var statistics = new FeatureStatistics(TestDevices.Open("cpu"), dims);
        statistics.Add(features);
        double[] covariance = statistics.Finish().Covariance;
        return scale is null ? covariance : [.. covariance.Select((value, i) => value * scale(i / dims) * scale(i % dims))];
    }

    /// <summary>The largest deviation of L·Lᵀ from the covariance, relative to the deviations of its row and column.</summary>
    private static double Difference(CovarianceFactor factor, double[] covariance)
    {
        int dims = factor.Rows;
        double largest = 0;
        for (int row = 0; row < dims; row++)
        {
            for (int column = 0; column <= row; column++)
            {
                double product = 0, size = Math.Sqrt(covariance[row * (dims + 1)] * covariance[column * (dims + 1)]);
                for (int k = 0; k <= column; k++)
                    product += factor.Values[(row * dims) + k] * factor.Values[(column * dims) + k];
                if (size > 0)
                    largest = Math.Max(largest, Math.Abs(product - covariance[(row * dims) + column]) / size);
            }
        }
        return largest;
    }
}

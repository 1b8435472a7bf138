using System.Diagnostics;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>The Fréchet distance of two Gaussians: |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½.</summary>
/// <remarks>Dowson and Landau, 1982; of Inception's features it is the FID (Heusel et al., 2017).</remarks>
public static class FrechetDistance
{
    /// <summary>Computes the distance.</summary>
    /// <param name="a">One side.</param>
    /// <param name="b">The other: the reference, whose factor is kept from score to score.</param>
    /// <param name="device">Where products run.</param>
    /// <param name="method">How the root is taken.</param>
    /// <exception cref="ArgumentException">The dims differ, or a matrix is no covariance.</exception>
    public static FrechetResult Compute(GaussianStatistics a, GaussianStatistics b, Device device, RootMethod method = RootMethod.Chosen)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        ArgumentNullException.ThrowIfNull(device);
        if (a.Dims != b.Dims)
            throw new ArgumentException($"statistics of {a.Dims} and of {b.Dims} dims cannot be compared; make both with the same dims");
        long start = Stopwatch.GetTimestamp();
        double mean = 0;
        for (int i = 0; i < a.Dims; i++)
            mean += (a.Mean[i] - b.Mean[i]) * (a.Mean[i] - b.Mean[i]);
        var root = MatrixSquareRoot.Trace(a, b, device, method);
        double trace = a.Trace + b.Trace - (2 * root.Value), value = mean + trace;
        return new FrechetResult(Math.Max(0, value), Math.Max(0, value - (2 * root.Missing)), Math.Max(0, value + (2 * root.Excess)), mean,
            trace, root.Value, root.Path, root.Missing, root.Shift, root.Products, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }
}

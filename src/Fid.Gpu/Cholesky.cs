using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>Cholesky factors of covariances, which are often singular: shifted by as little as rounding asks for.</summary>
internal static class Cholesky
{
    /// <summary>The shift of a matrix that is positive semidefinite to rounding is at most this; beyond, it was rounded to 32 bits or is
    /// no covariance.</summary>
    public const double RoundingShift = 1e-12;

    private const double SmallestShift = 1e-15;
    private const double LargestShift = 1e-3;

    /// <summary>L with L·Lᵀ = Σ + shift · diag(Σ): the smallest shift of 1e-15, 1e-14, … that succeeds.</summary>
    /// <param name="covariance">[dims, dims], symmetric.</param>
    /// <param name="dims">Rows.</param>
    /// <param name="device">Where to factor; the host does it for null, the processor and a device without 64-bit floats.</param>
    /// <returns>Null where no shift up to 1e-3 makes the matrix positive definite: it is no covariance.</returns>
    /// <remarks>Every variance is scaled to 1 first, so that the shift is relative for features of any size. A feature without variance
    /// is left out and has a row of zeros. The shift raises tr (Σ₁Σ₂)^½ by at most √shift · √(tr Σ₁ tr Σ₂), because the trace of a
    /// root is subadditive.</remarks>
    public static CovarianceFactor? Factor(ReadOnlySpan<double> covariance, int dims, Device? device = null)
    {
        var live = new List<int>();
        for (int i = 0; i < dims; i++)
        {
            if (covariance[(i * dims) + i] > 0)
                live.Add(i);
        }

        var factor = new double[(long)dims * dims];
        if (live.Count == 0)
            return new CovarianceFactor(factor, dims, true, 0);
        int n = live.Count;
        double[] deviation = new double[n], scaled = new double[(long)n * n];
        for (int i = 0; i < n; i++)
        {
            var row = covariance.Slice(live[i] * dims, dims);
            deviation[i] = Math.Sqrt(row[live[i]]);
            for (int j = 0; j < i; j++)
                scaled[(i * n) + j] = row[live[j]] / deviation[i] / deviation[j];
            scaled[(i * n) + i] = 1;
        }

        bool onHost = device is null || device.Info.Kind == DeviceKind.Cpu || device.Float64Rate == 0;
        var (lower, shift) = onHost ? FactorShifted(scaled, n) : FactorShifted(scaled, n, device!);
        if (lower is null)
            return null;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
                factor[(live[i] * dims) + live[j]] = deviation[i] * lower[(i * n) + j];
        }

        return new CovarianceFactor(factor, dims, true, shift);
    }

    private static (double[]? Lower, double Shift) FactorShifted(double[] scaled, int n)
    {
        double[] lower = new double[scaled.LongLength];
        for (double shift = SmallestShift; shift <= LargestShift; shift *= 10)
        {
            scaled.CopyTo(lower, 0);
            for (int i = 0; i < n; i++)
                lower[(i * n) + i] += shift;
            if (SymmetricMatrix.TryCholesky(lower, n))
                return (lower, shift);
        }

        return (null, 0);
    }

    private static (double[]? Lower, double Shift) FactorShifted(double[] scaled, int n, Device device)
    {
        using Matrix unshifted = new(device, n, n, scaled), lower = new(device, n, n), zero = new(device, n, 1, new double[n]);
        for (double shift = SmallestShift; shift <= LargestShift; shift *= 10)
        {
            lower.SetProduct(zero, zero, transposeB: true, addend: unshifted, beta: 1, gamma: shift);
            if (lower.TryCholesky())
                return (lower.ToArray(), shift);
        }

        return (null, 0);
    }
}

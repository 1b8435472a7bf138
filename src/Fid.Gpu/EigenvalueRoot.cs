using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>tr (Σ₁Σ₂)^½ = Σ √λ over the eigenvalues λ of F·Σ·Fᵀ, where F is one covariance's factor and Σ the other covariance.</summary>
/// <remarks>The matrix is symmetric and positive semidefinite by construction: its eigenvalues are real, and negative ones are rounding.
/// Only one covariance is factored: the one whose features were kept, else the second, which is the reference.</remarks>
internal static class EigenvalueRoot
{
    /// <summary>The eigenvalues' errors are taken to be at most this, times ε √n of the largest one.</summary>
    private const double ErrorFactor = 8;

    private const double Epsilon = 1.1102230246251565e-16;

    /// <summary>Takes the root; products run on the device, eigenvalues on the host.</summary>
    /// <param name="a">One side.</param>
    /// <param name="b">The other, of as many dims.</param>
    /// <param name="device">With double precision.</param>
    /// <exception cref="ArgumentException">Neither covariance can be factored: they have negative eigenvalues.</exception>
    public static RootTrace Take(GaussianStatistics a, GaussianStatistics b, Device device)
    {
        bool firstIsFactored = Prefers(a, b, device);
        var (factored, other) = firstIsFactored ? (a, b) : (b, a);
        var factor = factored.FactorOn(device)
            ?? throw new ArgumentException("a covariance has large negative eigenvalues: it is no covariance");
        int rows = factor.Rows, dims = a.Dims;
        double[] product;
        using (var f = new Matrix(device, rows, dims, factor.Values))
        using (var covariance = new Matrix(device, dims, dims, other.Covariance))
        using (var half = new Matrix(device, rows, dims))
        using (var full = new Matrix(device, rows, rows))
        {
            half.SetProduct(f, covariance, transposeA: factor.IsCholesky);
            full.SetProduct(half, f, transposeB: !factor.IsCholesky, symmetric: true);
            product = full.ToArray();
        }

        double[] eigenvalues = SymmetricMatrix.Eigenvalues(product, rows);
        double error = ErrorFactor * Epsilon * Math.Sqrt(dims) * Math.Abs(eigenvalues[^1]), sum = 0, missing = 0, excess = 0;
        foreach (double eigenvalue in eigenvalues)
        {
            double root = Math.Sqrt(Math.Max(0, eigenvalue));
            sum += root;
            missing += Math.Sqrt(Math.Max(0, eigenvalue + error)) - root;
            excess += root - Math.Sqrt(Math.Max(0, eigenvalue - error));
        }

        excess += Math.Sqrt(factor.Shift) * Math.Sqrt(a.Trace * b.Trace);
        string of = factor.IsCholesky ? "a Cholesky factor" : $"{rows} centred features";
        return new RootTrace(sum, missing, excess, factor.Shift, 2, $"eigenvalues through {of}");
    }

    /// <summary>Whether the first side is the one to factor: kept features and fewer of them first, then the smaller shift.</summary>
    private static bool Prefers(GaussianStatistics a, GaussianStatistics b, Device device)
    {
        if (a.KeepsFeatures || b.KeepsFeatures)
            return a.KeepsFeatures && (!b.KeepsFeatures || a.FactorOn(device)!.Rows < b.FactorOn(device)!.Rows);
        return (b.FactorOn(device)?.Shift ?? double.MaxValue) > Cholesky.RoundingShift
            && (a.FactorOn(device)?.Shift ?? double.MaxValue) < (b.FactorOn(device)?.Shift ?? double.MaxValue);
    }
}

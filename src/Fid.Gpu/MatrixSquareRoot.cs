using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>tr (Σ₁Σ₂)^½, always real: never a root of the product itself, always a norm or eigenvalues of something symmetric.</summary>
internal static class MatrixSquareRoot
{
    /// <summary>The body in 64 bits is the faster one from this rate on: 38 products against 3 and 35 in 32 bits.</summary>
    private const double RateForFloat64 = 1.0 / 8;

    /// <summary>Takes the trace of the root.</summary>
    /// <param name="a">One side.</param>
    /// <param name="b">The other, of as many dims.</param>
    /// <param name="device">Where products run; the processor takes over for one without 64-bit floats.</param>
    /// <param name="method">How.</param>
    /// <exception cref="ArgumentException">A matrix is no covariance.</exception>
    public static RootTrace Trace(GaussianStatistics a, GaussianStatistics b, Device device, RootMethod method = RootMethod.Chosen)
    {
        if (device.Float64Rate == 0)
        {
            using var host = Device.Open("cpu");
            return Trace(a, b, host, method);
        }

        if (method == RootMethod.Chosen)
        {
            method = device.Info.Kind == DeviceKind.Cpu ? RootMethod.Eigenvalues
                : device.Float64Rate >= RateForFloat64 ? RootMethod.Float64Ladder : RootMethod.Float32Ladder;
        }

        if (method == RootMethod.Eigenvalues)
            return EigenvalueRoot.Take(a, b, device);
        if (a.FactorOn(device) is not { Shift: <= Cholesky.RoundingShift } first
            || b.FactorOn(device) is not { Shift: <= Cholesky.RoundingShift } second)
            return EigenvaluesBecause("a covariance was rounded to 32 bits or has negative eigenvalues");
        // The bound of a body in 32 bits holds where products are made in 32 bits: those of TF32 and BF16 are too far off.
        bool isSingle = method == RootMethod.Float32Ladder && device.Precision == Precision.Float32;
        var result = TakeNorm(first, second, a.Dims, device, isSingle, Math.Sqrt(a.Trace * b.Trace));
        if (!result.IsAccepted)
            return EigenvaluesBecause($"the ladder's bound of {result.Bound:G2} is too wide");
        double shift = Math.Sqrt(first.Shift) + Math.Sqrt(second.Shift);
        string path = $"polar ladder in {(isSingle ? "32 and 64" : "64")} bits through {(first, second) switch
        {
            ({ IsCholesky: true }, { IsCholesky: true }) => "Cholesky factors",
            ({ IsCholesky: false }, { IsCholesky: false }) => "centred features",
            _ => "centred features and a Cholesky factor",
        }}" + (result.Continuations > 0 ? $", continued {result.Continuations} times" : "");
        return new RootTrace(result.Value, result.Bound, (1e-13 * result.Value) + (shift * Math.Sqrt(a.Trace * b.Trace)),
            Math.Max(first.Shift, second.Shift), 1 + result.Products, path);

        RootTrace EigenvaluesBecause(string reason)
        {
            var root = EigenvalueRoot.Take(a, b, device);
            return root with { Path = $"{root.Path}, because {reason}" };
        }
    }

    /// <summary>The norm of B = F₁·F₂ᵀ, lying down.</summary>
    private static LadderResult TakeNorm(CovarianceFactor first, CovarianceFactor second, int dims, Device device, bool isSingle,
        double largest)
    {
        if (first.Rows > second.Rows)
            (first, second) = (second, first);
        using var b = new Matrix(device, first.Rows, second.Rows);
        using (var left = new Matrix(device, first.Rows, dims, first.Values))
        using (var right = new Matrix(device, second.Rows, dims, second.Values))
            b.SetProduct(left, right, transposeA: first.IsCholesky, transposeB: !second.IsCholesky);
        return PolarLadder.Norm(b, new LadderOptions(isSingle), largest);
    }
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>How a <see cref="PolarLadder"/> runs; the tests break it on purpose.</summary>
/// <param name="IsSingle">Whether the body runs in 32 bits; the last step never does.</param>
/// <param name="Boosts">Rows before the landing.</param>
/// <param name="Continuations">Further runs, each of four boosts and a landing, where the bound is too wide.</param>
/// <param name="Start">The start is scaled by this: 1, or a fault.</param>
internal sealed record LadderOptions(bool IsSingle, int Boosts = 9, int Continuations = 3, double Start = 1);

/// <summary>
/// The nuclear norm ‖B‖ = Σ singular values of a matrix by products alone: Newton and Schulz's iteration for the polar factor, with the
/// best coefficients of each step. Of a factor B of Σ₁Σ₂ it is tr (Σ₁Σ₂)^½.
/// </summary>
/// <remarks>
/// ‖B‖ is the largest inner product of B with a matrix of norm 1, so that an error of the polar factor counts only squared: a body in 32
/// bits is enough. X ← X p(XᵀX) keeps singular values below 1, where nothing can diverge, and starts from B itself, whose condition is the
/// square root of the product's. The number of steps is fixed. The last step, Newton and Schulz's own, is made in 64 bits and not
/// formed: with W = I − XXᵀ and G = WB the norm is at least T = ⟨X, B⟩ + ½⟨X, G⟩ and at most T + ‖G‖·‖W‖. A second bound costs nothing:
/// tr W directions are unfinished, and they began below the ladder's floor. A wide bound leads to further runs.
/// </remarks>
internal static class PolarLadder
{
    /// <summary>A wider bound, relative to the norm, is not accepted.</summary>
    public const double WidestBound = 1e-5;

    /// <summary>What the last step leaves, relative to the norm, where all singular values are above the floor.</summary>
    private const double LastStepLoss = 3e-13;

    /// <summary>Rounding of the inner products themselves, relative to the norm.</summary>
    private const double Rounding = 1e-13;

    private const int ContinuedBoosts = 4;

    /// <summary>Computes the nuclear norm.</summary>
    /// <param name="b">[m, n] with m at most n.</param>
    /// <param name="options">How.</param>
    /// <param name="largest">What the norm cannot exceed.</param>
    public static LadderResult Norm(Matrix b, LadderOptions options, double largest = double.MaxValue)
    {
        using var body = LadderBody.Create(b.Device, b.Rows, b.Columns, options.IsSingle);
        using var gram = new Matrix(b.Device, b.Rows, b.Rows);
        gram.SetProduct(b, b, transposeB: true, symmetric: true);
        double norm = gram.Norm();
        if (norm == 0)
            return new LadderResult(0, 0, true, 1, 0);
        double scale = Math.Sqrt(norm) * (1 + body.Margin) * options.Start;

        bool begun = false;
        int products = 0, boosts = options.Boosts;
        foreach (var row in LadderRow.Run(boosts))
        {
            if (begun)
                body.Step(row);
            else
                body.Start(row, b, gram, scale);
            begun = true;
            products += 3;
        }

        for (int runs = 0; ; runs++)
        {
            products += 2;
            var result = Certify(b, body, gram, scale * LadderRow.Floor(boosts)) with { Products = products, Continuations = runs };
            bool isFinite = double.IsFinite(result.Value) && double.IsFinite(result.Bound);
            bool accepted = isFinite && result.Bound <= WidestBound * result.Value && result.Value <= largest * (1 + 1e-9);
            if (accepted || runs == options.Continuations || !isFinite)
                return result with { IsAccepted = accepted };
            double factor = 1 / (1 + Math.ScaleB(1, -12));
            foreach (var row in LadderRow.Run(ContinuedBoosts))
            {
                body.Step(row, factor);
                factor = 1;
                products += 3;
            }

            boosts += ContinuedBoosts;
        }
    }

    /// <summary>The last step and its bounds; the Gram matrix is overwritten.</summary>
    private static LadderResult Certify(Matrix b, LadderBody body, Matrix w, double floor)
    {
        var x = body.Finish();
        w.SetProduct(x, x, transposeB: true, alpha: -1, gamma: 1, symmetric: true);
        using var g = new Matrix(b.Device, b.Rows, b.Columns);
        g.SetProduct(w, b);
        double value = x.Dot(b) + (0.5 * x.Dot(g));
        double certified = g.Norm() * w.Norm(), free = (floor * Math.Max(0, w.Trace())) + (LastStepLoss * value);
        return new LadderResult(value, Math.Min(certified, free) + ((body.RotationLoss + Rounding) * value), false, 0, 0);
    }
}

/// <summary>A nuclear norm.</summary>
/// <param name="Value">Not more than the norm, but for rounding.</param>
/// <param name="Bound">The norm is at most this much more.</param>
/// <param name="IsAccepted">Whether value and bound are to be believed.</param>
/// <param name="Products">Matrix products.</param>
/// <param name="Continuations">Further runs that were needed.</param>
internal sealed record LadderResult(double Value, double Bound, bool IsAccepted, int Products, int Continuations);

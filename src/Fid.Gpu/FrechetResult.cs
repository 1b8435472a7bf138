namespace Diffusion.Gpu.Fid;

/// <summary>A Fréchet distance, how it was found and how wrong it can be.</summary>
/// <param name="Value">|μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½; never negative.</param>
/// <param name="Lower">The exact distance of the given statistics is at least this.</param>
/// <param name="Upper">The exact distance of the given statistics is at most this.</param>
/// <param name="MeanTerm">|μ₁ − μ₂|².</param>
/// <param name="TraceTerm">tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½.</param>
/// <param name="RootTrace">tr (Σ₁Σ₂)^½.</param>
/// <param name="Root">How the root was taken, in words.</param>
/// <param name="RootBound">Bound on what <paramref name="RootTrace"/> misses.</param>
/// <param name="Shift">What was added to a covariance's diagonal to factor it, relative to it; 0 for none.</param>
/// <param name="Products">Matrix products of the root.</param>
/// <param name="Seconds">Time taken.</param>
public sealed record FrechetResult(double Value, double Lower, double Upper, double MeanTerm, double TraceTerm, double RootTrace,
    string Root, double RootBound, double Shift, int Products, double Seconds);

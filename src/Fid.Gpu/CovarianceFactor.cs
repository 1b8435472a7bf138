namespace Diffusion.Gpu.Fid;

/// <summary>
/// A factor of a covariance Σ: centred features F [N, dims] divided by √(N − 1), with Fᵀ·F = Σ, or L [dims, dims] with L·Lᵀ = Σ + shift.
/// </summary>
/// <param name="Values">[Rows, dims], row-major.</param>
/// <param name="Rows">N, or dims.</param>
/// <param name="IsCholesky">Whether it is L.</param>
/// <param name="Shift">What was added to Σ, relative to its diagonal: 0 for features.</param>
internal sealed record CovarianceFactor(double[] Values, int Rows, bool IsCholesky, double Shift);

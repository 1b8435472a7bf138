namespace Diffusion.Gpu.Fid;

/// <summary>tr (Σ₁Σ₂)^½ and what is known about it.</summary>
/// <param name="Value">The trace.</param>
/// <param name="Missing">The trace of the factored matrices is at most Value + Missing.</param>
/// <param name="Excess">The trace of the given matrices is at least Value − Excess.</param>
/// <param name="Shift">The largest relative shift of a factor that was used.</param>
/// <param name="Products">Matrix products.</param>
/// <param name="Path">How it was taken, in words.</param>
internal sealed record RootTrace(double Value, double Missing, double Excess, double Shift, int Products, string Path);

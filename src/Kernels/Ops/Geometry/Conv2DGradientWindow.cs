namespace Diffusion.Gpu.Kernels;

/// <summary>
/// A class of pixels of a convolution's input whose gradient is one dense product: the pixels, and the taps of the filter and the pixels of
/// dy that reach them, the same ones for each.
/// </summary>
/// <param name="H">Rows of the image that is written.</param>
/// <param name="W">Columns of the image that is written.</param>
/// <param name="FirstH">First row of the class.</param>
/// <param name="FirstW">First column of the class.</param>
/// <param name="Step">Distance of its pixels.</param>
/// <param name="R">Height of the filter.</param>
/// <param name="S">Width of the filter.</param>
/// <param name="FirstR">First tap row that reaches the class.</param>
/// <param name="FirstS">First tap column that reaches the class.</param>
/// <param name="TapStep">Distance of such taps.</param>
/// <param name="OriginH">Row of dy that the first tap meets at the first pixel; the next tap meets the row above.</param>
/// <param name="OriginW">Column of dy that the first tap meets at the first pixel.</param>
/// <param name="WindowStep">Distance of what neighbouring pixels meet, in pixels of dy.</param>
internal readonly record struct Conv2DGradientWindow(int H, int W, int FirstH, int FirstW, int Step, int R, int S, int FirstR, int FirstS,
    int TapStep, int OriginH, int OriginW, int WindowStep)
{
    /// <summary>Rows of the class.</summary>
    public int PixelsH => (H - FirstH + Step - 1) / Step;

    /// <summary>Columns of the class.</summary>
    public int PixelsW => (W - FirstW + Step - 1) / Step;

    /// <summary>Rows of taps that reach it.</summary>
    public int TapsH => Math.Max(0, (R - FirstR + TapStep - 1) / TapStep);

    /// <summary>Columns of taps that reach it.</summary>
    public int TapsW => Math.Max(0, (S - FirstS + TapStep - 1) / TapStep);

    /// <summary>Taps of the classes before this one, by their first tap row, then their first tap column.</summary>
    public int TapsBefore => (Before(FirstR, R) * S) + (TapsH * Before(FirstS, S));

    /// <summary>The pixels from (h, w) on in steps of the stride.</summary>
    public static Conv2DGradientWindow OfClass(in Conv2DShape s, int h, int w) => new(s.H, s.W, h, w, s.Stride, s.R, s.S,
        (h + s.PadH) % s.Stride, (w + s.PadW) % s.Stride, s.Stride, (h + s.PadH) / s.Stride, (w + s.PadW) / s.Stride, 1);

    /// <summary>
    /// All pixels of the small image, where each stands for 2×2 of those that the convolution sees, at stride 1. Their four sums over the
    /// filter are one sum over a filter that is larger by one: its tap (r, s) is the sum of the taps (r − 1 or r, s − 1 or s).
    /// </summary>
    public static Conv2DGradientWindow OfUpsampled(in Conv2DShape s)
        => new(s.H / 2, s.W / 2, 0, 0, 1, s.R + 1, s.S + 1, 0, 0, 1, 1 + s.PadH, 1 + s.PadW, 2);

    /// <summary>Taps of a row or column of them whose class begins before the given one.</summary>
    private int Before(int first, int taps) => (first * (taps / TapStep)) + Math.Min(first, taps % TapStep);
}

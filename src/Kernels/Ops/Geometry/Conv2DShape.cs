namespace Diffusion.Gpu.Kernels;

/// <summary>The index arithmetic of one two-dimensional convolution, shared by op, backends, tests and benchmarks.</summary>
/// <param name="N">Images in the batch.</param>
/// <param name="H">Input height in pixels.</param>
/// <param name="W">Input width in pixels.</param>
/// <param name="C">Input channels.</param>
/// <param name="K">Output channels.</param>
/// <param name="R">Filter height.</param>
/// <param name="S">Filter width.</param>
/// <param name="Stride">Step of the window in both directions, in pixels.</param>
/// <param name="PadH">Zero rows added above and below.</param>
/// <param name="PadW">Zero columns added left and right.</param>
public readonly record struct Conv2DShape(int N, int H, int W, int C, int K, int R, int S, int Stride, int PadH, int PadW)
{
    /// <summary>Output height in pixels.</summary>
    public int OutH => (H + (2 * PadH) - R) / Stride + 1;

    /// <summary>Output width in pixels.</summary>
    public int OutW => (W + (2 * PadW) - S) / Stride + 1;

    /// <summary>Output pixels of the whole batch: the rows of the implicit matrix product.</summary>
    public int Pixels => N * OutH * OutW;

    /// <summary>Multiply-adds per output value: the depth of the implicit matrix product.</summary>
    public int Depth => R * S * C;

    /// <summary>Floating-point operations of one pass (a multiply-add counts two).</summary>
    public double Flops => 2.0 * Pixels * Depth * K;

    /// <summary>True for a filter of one tap at stride 1 without padding: a plain matrix product.</summary>
    public bool IsPointwise => R == 1 && S == 1 && Stride == 1 && PadH == 0 && PadW == 0;
}

namespace Diffusion.Gpu.Kernels;

/// <summary>Batched matrix product C[b] = op(A[b]) · op(B[b]) of row-major matrices.</summary>
/// <param name="Batch">Number of products.</param>
/// <param name="M">Rows of C.</param>
/// <param name="N">Columns of C.</param>
/// <param name="K">Terms of each sum.</param>
/// <param name="TransposeA">A is stored [K, M] instead of [M, K].</param>
/// <param name="TransposeB">B is stored [N, K] instead of [K, N].</param>
internal readonly record struct MatMulShape(int Batch, int M, int N, int K, bool TransposeA, bool TransposeB);

/// <summary>Rows of channels: N samples of P positions (H·W pixels or T tokens) of C channels.</summary>
internal readonly record struct RowShape(int N, int P, int C)
{
    /// <summary>Positions of the whole batch.</summary>
    public int Rows => N * P;

    /// <summary>The row arithmetic of a tensor [N, …, C].</summary>
    public static RowShape Of(Tensor x) => new(x.Shape[0], (int)(x.Count / x.Shape[0] / x.Shape[^1]), x.Shape[^1]);
}

/// <summary>An axis of a tensor: Outer × Length × Inner values, the axis in the middle.</summary>
internal readonly record struct AxisShape(int Outer, int Length, int Inner);

/// <summary>Attention over T tokens and M memory slots, in heads of width D.</summary>
internal readonly record struct AttentionShape(int N, int T, int Heads, int D, int M)
{
    /// <summary>Channels of the result: heads times width.</summary>
    public int Width => Heads * D;

    /// <summary>What queries are multiplied by: D^-½.</summary>
    public float QueryScale => 1 / MathF.Sqrt(D);
}

/// <summary>A pooling window over images.</summary>
/// <param name="N">Images.</param>
/// <param name="H">Input height in pixels.</param>
/// <param name="W">Input width in pixels.</param>
/// <param name="C">Channels.</param>
/// <param name="Window">Height and width of the window in pixels.</param>
/// <param name="Stride">Step of the window in pixels.</param>
/// <param name="Pad">Rows and columns added on each side.</param>
/// <param name="CountPadding">Whether an average divides by the whole window or by its part inside the image.</param>
internal readonly record struct PoolShape(int N, int H, int W, int C, int Window, int Stride, int Pad, bool CountPadding = false)
{
    public int OutH => (H + (2 * Pad) - Window) / Stride + 1;

    public int OutW => (W + (2 * Pad) - Window) / Stride + 1;
}

/// <summary>What a convolution does to each sum before it is stored: add a bias, add a residual, apply an activation.</summary>
/// <param name="Bias">[K] or null.</param>
/// <param name="Residual">[N, OutH, OutW, K] or null.</param>
/// <param name="Activation">Applied last.</param>
internal readonly record struct Epilogue(Tensor? Bias = null, Tensor? Residual = null, Activation Activation = Activation.None);

/// <summary>An activation that a convolution can apply while it stores.</summary>
public enum Activation
{
    /// <summary>The identity.</summary>
    None,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x · sigmoid(x).</summary>
    Silu,
}

/// <summary>Constants of one Adam step (Kingma and Ba, 2015; PyTorch's Adam without weight decay).</summary>
/// <param name="LearningRate">Step size.</param>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added after the root.</param>
/// <param name="BiasCorrection1">1 − β1^k.</param>
/// <param name="BiasCorrection2Root">√(1 − β2^k).</param>
/// <param name="MaxNorm">Gradients are scaled by min(1, MaxNorm / (norm + 1e-6)); infinite for no clipping.</param>
internal readonly record struct AdamStep(float LearningRate, float Beta1, float Beta2, float Epsilon, float BiasCorrection1,
    float BiasCorrection2Root, float MaxNorm);

namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>All op cases: one file per op, named as under Ops/, Cpu/ and Gpu/.</summary>
/// <remarks>A new op starts here: its cases first, then its line in <see cref="All"/>.
/// Extents are 1, odd, prime, and one past a tile.</remarks>
public static partial class Catalogue
{
    /// <summary>Every case of every op.</summary>
    public static IReadOnlyList<OpCase> All { get; } =
    [
        .. Adam,
        .. Add,
        .. Attention,
        .. AveragePool2D,
        .. Concat,
        .. Conv2D,
        .. Dropout,
        .. Ema,
        .. Fill,
        .. FourierEmbedding,
        .. Gelu,
        .. GlobalAveragePool,
        .. GradientNorm,
        .. GroupNorm,
        .. LinearAttention,
        .. LinearCombination,
        .. MatMul,
        .. MaxPool2D,
        .. MeanSquaredError,
        .. NearestUpsample,
        .. Noise,
        .. Relu,
        .. Resize,
        .. RmsNorm,
        .. ScaleShift,
        .. Silu,
        .. SinusoidalEmbedding,
        .. Softmax,
        .. SpaceToDepth,
    ];

    /// <summary>A learned or computed tensor that gradients flow to.</summary>
    private static OpInput Input(string name, Shape shape, double low = -2, double high = 2) => new(name, shape, low, high);

    /// <summary>A tensor without gradient.</summary>
    private static OpInput Constant(string name, Shape shape, double low = -2, double high = 2, float[]? planted = null)
        => new(name, shape, low, high) { HasGradient = false, Planted = planted ?? [] };

    /// <summary>Values that a kernel must pass on rather than swallow.</summary>
    private static float[] NonFinite => [float.NaN, float.PositiveInfinity, float.NegativeInfinity];

    /// <summary>Fills an array from a function of its index.</summary>
    private static double[] Each(long count, Func<int, double> value) => [.. Enumerable.Range(0, (int)count).Select(value)];

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
}

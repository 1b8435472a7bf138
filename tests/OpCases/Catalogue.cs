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
        .. Matrix,
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

    /// <summary>
    /// The same op writing into a slice of channels. What lies around the slice is an input and must come out as it went in.
    /// </summary>
    /// <param name="whole">The op making a tensor of its own.</param>
    /// <param name="result">The shape of that tensor.</param>
    /// <param name="beside">Channels before and after the slice.</param>
    /// <param name="write">The op, given the slice and the inputs of the whole case.</param>
    private static OpCase IntoSlice(OpCase whole, Shape result, (int Before, int After) beside, Action<Tape, ChannelSlice, Tensor[]> write)
    {
        int channels = result[^1], total = beside.Before + channels + beside.After;
        int[] extents = result.Extents.ToArray();
        extents[^1] = total;
        var around = Constant("around", Shape.Create(extents), 5, 9);
        var inputs = whole.Inputs.Select(input => input with { HasGradient = false }).Append(around).ToList();
        return new OpCase($"{whole.Name}, into {beside.Before}+{channels}+{beside.After} channels", inputs, (tape, t) =>
        {
            var y = tape.New(around.Shape);
            y.CopyFrom(t[^1].ToArray());
            write(tape, new ChannelSlice(y, beside.Before, channels), t[..^1]);
            return y;
        }, v =>
        {
            double[] slice = whole.Reference(v[..^1]);
            return Each(around.Shape.Count, i => (i % total) - beside.Before is var c && c >= 0 && c < channels
                ? slice[(i / total * channels) + c] : v[^1][i]);
        }) { InferenceOnly = true, Tiny = whole.Tiny, Tolerance = whole.Tolerance };
    }

    /// <summary>Fills an array from a function of its index.</summary>
    private static double[] Each(long count, Func<int, double> value) => [.. Enumerable.Range(0, (int)count).Select(value)];

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>RMSNorm alone, with SiLU, and with scale-shift and SiLU.</summary>
    public static IEnumerable<OpCase> RmsNorm =>
    [
        // With one channel the result is the sign: its gradient is 0, and a kernel's is what rounding leaves.
        RootMeanSquare("one channel", [2, 3, 1], floor: 1),
        RootMeanSquare("odd", [2, 7, 5, 3], tiny: true),
        RootMeanSquare("17 channels", [3, 5, 17]),
        RootMeanSquare("64 channels", [1, 7, 5, 64]),
        RootMeanSquare("129 channels, one row each", [3, 129]),
        RootMeanSquare("513 channels", [1, 3, 513]),
        RootMeanSquare("1025 channels, scale-shift and SiLU", [2, 3, 1025], silu: true, scaleShift: true),
        RootMeanSquare("101 rows", [1, 101, 33]),
        RootMeanSquare("602 rows of 2 images", [2, 301, 65], silu: true, scaleShift: true),
        RootMeanSquare("SiLU", [2, 7, 5, 17], silu: true, tiny: true),
        RootMeanSquare("SiLU, 65 channels", [1, 11, 65], silu: true),
        RootMeanSquare("scale-shift and SiLU", [2, 7, 5, 6], silu: true, scaleShift: true, tiny: true),
        RootMeanSquare("scale-shift and SiLU, 5 images", [5, 3, 33], silu: true, scaleShift: true),
        RootMeanSquare("scale-shift and SiLU, 129 channels", [2, 9, 129], silu: true, scaleShift: true),
        RootMeanSquare("scale-shift and SiLU, 1x1 images", [3, 1, 1, 64], silu: true, scaleShift: true),
        RootMeanSquare("rows of zeros", [2, 5, 9], x: Constant("x", [2, 5, 9], 0, 0)),
        RootMeanSquare("norms below the clamp", [2, 5, 9], x: Constant("x", [2, 5, 9], -1e-13, 1e-13)),
        RootMeanSquare("large values", [2, 5, 9], x: Constant("x", [2, 5, 9], -1e16, 1e16)),
        RootMeanSquare("NaN stays in its row", [2, 5, 9], x: Constant("x", [2, 5, 9], planted: [float.NaN])),
    ];

    private static OpCase RootMeanSquare(string name, Shape shape, bool silu = false, bool scaleShift = false, bool tiny = false,
        double floor = 0, OpInput? x = null)
    {
        int samples = shape[0], channels = shape[^1], positions = (int)(shape.Count / samples / channels);
        List<OpInput> inputs = [x ?? Input("x", shape), x is null ? Input("gain", [channels]) : Constant("gain", [channels])];
        if (scaleShift)
            inputs.Add(Input("scaleShift", [samples, 2 * channels], -1, 1));
        return new OpCase($"RmsNorm {name}", inputs,
            (tape, t) => silu ? tape.RmsNormSilu(t[0], t[1], scaleShift ? t[2] : null) : tape.RmsNorm(t[0], t[1]),
            v =>
            {
                double[] norms = [.. v[0].Chunk(channels).Select(row => Math.Max(Math.Sqrt(row.Sum(value => value * value)), 1e-12))];
                return Each(shape.Count, i =>
                {
                    int row = i / channels, c = i % channels, sample = row / positions;
                    double y = v[0][i] / norms[row] * Math.Sqrt(channels) * v[1][c];
                    if (scaleShift)
                        y = (y * (v[2][(2 * sample * channels) + c] + 1)) + v[2][(((2 * sample) + 1) * channels) + c];
                    return silu ? y * Sigmoid(y) : y;
                });
            }) { Tiny = tiny, GradientFloor = floor };
    }
}

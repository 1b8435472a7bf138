namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Convolutions: filter sizes, strides, paddings, channels around tile edges, and what follows the sum.</summary>
    public static IEnumerable<OpCase> Conv2D =>
    [
        Convolution("1x1, one value", new(1, 1, 1, 1, 1, 1, 1, 1, 0, 0), bias: true, tiny: true),
        Convolution("3x3", new(2, 7, 5, 3, 5, 3, 3, 1, 1, 1), bias: true, tiny: true),
        Convolution("3x3, no bias", new(1, 9, 11, 17, 33, 3, 3, 1, 1, 1)),
        Convolution("3x3, 64 to 65 channels", new(1, 7, 5, 64, 65, 3, 3, 1, 1, 1), bias: true),
        Convolution("3x3, 5 images", new(5, 5, 3, 8, 16, 3, 3, 1, 1, 1), bias: true),
        Convolution("3x3 on 1x1 images", new(3, 1, 1, 5, 7, 3, 3, 1, 1, 1), bias: true),
        Convolution("3x3 without padding", new(2, 7, 5, 5, 17, 3, 3, 1, 0, 0)),
        Convolution("3x3, whole image to one pixel", new(2, 3, 3, 5, 3, 3, 3, 1, 0, 0)),
        Convolution("3x3 at stride 2", new(2, 9, 11, 5, 7, 3, 3, 2, 1, 1), bias: true),
        Convolution("3x3 at stride 2 without padding", new(1, 9, 11, 3, 17, 3, 3, 2, 0, 0)),
        Convolution("3x3 at stride 3", new(2, 10, 8, 3, 5, 3, 3, 3, 1, 1), bias: true),
        Convolution("3x3 at stride 2, last rows unread", new(1, 8, 10, 5, 4, 3, 3, 2, 0, 0), bias: true),
        Convolution("2x2 at stride 2", new(2, 6, 8, 5, 9, 2, 2, 2, 0, 0), bias: true),
        Convolution("2x2 with padding", new(1, 4, 5, 3, 4, 2, 2, 1, 1, 1)),
        Convolution("1x1", new(1, 9, 11, 63, 129, 1, 1, 1, 0, 0), bias: true),
        Convolution("1x1, 129 pixels", new(1, 1, 129, 33, 64, 1, 1, 1, 0, 0)),
        Convolution("1x1, 129 to 3 channels", new(2, 7, 5, 129, 3, 1, 1, 1, 0, 0), bias: true),
        Convolution("1x1, 3 to 130 channels", new(3, 3, 5, 3, 130, 1, 1, 1, 0, 0), bias: true),
        Convolution("1x1 at stride 2", new(2, 7, 5, 6, 5, 1, 1, 2, 0, 0)),
        Convolution("1x1 with padding", new(1, 3, 4, 3, 5, 1, 1, 1, 1, 1), bias: true),
        Convolution("5x5", new(1, 7, 9, 5, 8, 5, 5, 1, 2, 2), bias: true),
        Convolution("7x7", new(1, 9, 11, 3, 17, 7, 7, 1, 3, 3), bias: true),
        Convolution("7x7 on 1x1 images", new(2, 1, 1, 3, 5, 7, 7, 1, 3, 3)),
        Convolution("7x7 on images smaller than the filter", new(1, 4, 3, 5, 4, 7, 7, 1, 3, 3)),
        Convolution("1x7", new(1, 7, 9, 5, 6, 1, 7, 1, 0, 3)),
        Convolution("7x1", new(1, 9, 7, 6, 5, 7, 1, 1, 3, 0)),
        Convolution("3x1 at stride 2", new(2, 9, 7, 5, 4, 3, 1, 2, 1, 0), bias: true),
        Convolution("3x3, residual", new(2, 5, 7, 9, 6, 3, 3, 1, 1, 1), bias: true, residual: true),
        Convolution("3x3, ReLU", new(2, 5, 7, 3, 17, 3, 3, 1, 1, 1), bias: true, activation: Activation.Relu),
        Convolution("3x3, SiLU", new(2, 5, 7, 3, 17, 3, 3, 1, 1, 1), bias: true, activation: Activation.Silu),
        Convolution("1x1, residual and SiLU", new(2, 5, 7, 16, 33, 1, 1, 1, 0, 0), residual: true, activation: Activation.Silu, tiny: true),
        Convolution("3x3, NaN reaches its own windows only", new(2, 7, 5, 3, 5, 3, 3, 1, 1, 1), bias: true, planted: [float.NaN]),
        Convolution("3x3, 104 to 5 channels, residual and SiLU", new(1, 2, 3, 104, 5, 3, 3, 1, 1, 1), bias: true, residual: true,
            activation: Activation.Silu),
        Convolution("3x3, 4 to 112 channels", new(2, 2, 2, 4, 112, 3, 3, 1, 1, 1), bias: true),
        Convolution("1x1, 1000 pixels", new(4, 10, 25, 3, 4, 1, 1, 1, 0, 0)),
        Joined("3x3", new(2, 7, 5, 3, 5, 3, 3, 1, 1, 1), 1, bias: true, tiny: true),
        Joined("1x1, one value each", new(1, 1, 1, 2, 1, 1, 1, 1, 0, 0), 1, tiny: true),
        Joined("3x3, four wide", new(2, 5, 3, 12, 8, 3, 3, 1, 1, 1), 4, bias: true, tiny: true),
        Joined("3x3, four wide but for the first part", new(1, 5, 7, 12, 8, 3, 3, 1, 1, 1), 5),
        Joined("3x3, 64 and 65 channels", new(1, 5, 7, 129, 17, 3, 3, 1, 1, 1), 64, bias: true),
        Joined("3x3, 68 and 64 channels", new(2, 7, 5, 132, 68, 3, 3, 1, 1, 1), 68),
        Joined("3x3, 192 and 13 channels of small images", new(3, 3, 5, 205, 7, 3, 3, 1, 1, 1), 192),
        Joined("3x3, 110 channels of images of one row", new(2, 1, 3, 110, 4, 3, 3, 1, 1, 1), 64, bias: true),
        Joined("3x3 on 1x1 images", new(3, 1, 1, 24, 8, 3, 3, 1, 1, 1), 16),
        Joined("1x1", new(1, 9, 11, 63, 33, 1, 1, 1, 0, 0), 17, bias: true),
        Joined("1x1, residual and SiLU", new(2, 5, 7, 48, 16, 1, 1, 1, 0, 0), 32, bias: true, residual: true, activation: Activation.Silu),
        Joined("2x2 at stride 2, last rows unread", new(2, 7, 9, 11, 5, 2, 2, 2, 0, 0), 8),
        Joined("3x3 at stride 3", new(1, 10, 8, 20, 5, 3, 3, 3, 1, 1), 16),
        Joined("7x7, 1 to 35 channels", new(1, 9, 11, 3, 35, 7, 7, 1, 3, 3), 2),
        Joined("3x3, NaN reaches its own windows only", new(2, 7, 5, 6, 5, 3, 3, 1, 1, 1), 3, planted: [float.NaN]),
        Upsampled("3x3, one pixel", new(1, 2, 2, 1, 1, 3, 3, 1, 1, 1), tiny: true),
        Upsampled("3x3", new(2, 6, 10, 3, 5, 3, 3, 1, 1, 1), bias: true, tiny: true),
        Upsampled("3x3, four wide", new(1, 4, 6, 8, 12, 3, 3, 1, 1, 1), bias: true, tiny: true),
        Upsampled("3x3, 64 to 65 channels", new(1, 10, 14, 64, 65, 3, 3, 1, 1, 1)),
        Upsampled("3x3, 68 to 68 channels", new(2, 14, 10, 68, 68, 3, 3, 1, 1, 1), bias: true),
        Upsampled("3x3, 205 channels of small images", new(3, 6, 4, 205, 194, 3, 3, 1, 1, 1)),
        Upsampled("3x3 without padding", new(2, 6, 8, 5, 17, 3, 3, 1, 0, 0)),
        Upsampled("1x1", new(1, 6, 10, 17, 4, 1, 1, 1, 0, 0), bias: true),
        Upsampled("2x2 with padding", new(1, 4, 6, 12, 8, 2, 2, 1, 1, 1)),
        Upsampled("1x7, SiLU", new(1, 8, 6, 5, 16, 1, 7, 1, 0, 3), bias: true, activation: Activation.Silu),
        Upsampled("5x5, residual", new(1, 6, 8, 16, 4, 5, 5, 1, 2, 2), residual: true),
        Upsampled("3x3, NaN reaches its own windows only", new(2, 6, 6, 3, 5, 3, 3, 1, 1, 1), planted: [float.NaN]),
        JoinedToItself("3x3", new(2, 5, 3, 10, 4, 3, 3, 1, 1, 1)),
        Slice("3x3", new(2, 7, 5, 3, 5, 3, 3, 1, 1, 1), (3, 4), tiny: true),
        Slice("1x1, ReLU", new(2, 7, 5, 8, 12, 1, 1, 1, 0, 0), (4, 8), Activation.Relu, tiny: true),
        Slice("1x1, 64 channels, ReLU", new(2, 9, 9, 36, 64, 1, 1, 1, 0, 0), (0, 160), Activation.Relu),
        Slice("1x7, 65 channels", new(2, 7, 9, 16, 65, 1, 7, 1, 0, 3), (128, 1), Activation.Relu),
        Slice("3x3 at stride 2", new(1, 9, 11, 8, 48, 3, 3, 2, 0, 0), (16, 0)),
        Slice("3x3, 104 channels of small images, ReLU", new(1, 2, 2, 104, 8, 3, 3, 1, 1, 1), (4, 4), Activation.Relu),
        Slice("3x3, four wide but for the first channel", new(1, 5, 7, 8, 8, 3, 3, 1, 1, 1), (2, 2)),
        Normalised(Convolution("3x3", new(2, 3, 5, 3, 4, 3, 3, 1, 1, 1), bias: true, tiny: true), 4, scaleShift: true),
        Normalised(Convolution("3x3, one channel", new(1, 5, 3, 3, 1, 3, 3, 1, 1, 1), bias: true, tiny: true), 1, floor: 1),
        Normalised(Convolution("3x3, to 60 channels", new(2, 7, 5, 12, 60, 3, 3, 1, 1, 1), bias: true), 60),
        Normalised(Convolution("3x3, to 64 channels", new(3, 5, 7, 16, 64, 3, 3, 1, 1, 1), bias: true), 64, scaleShift: true),
        Normalised(Convolution("1x1, to 64 channels", new(1, 9, 9, 20, 64, 1, 1, 1, 0, 0)), 64, scaleShift: true),
        Normalised(Convolution("3x3, to 100 channels", new(2, 5, 7, 8, 100, 3, 3, 1, 1, 1)), 100),
        Normalised(Convolution("3x3, to 128 channels", new(2, 7, 5, 8, 128, 3, 3, 1, 1, 1), bias: true), 128, scaleShift: true),
        Normalised(Convolution("3x3, to 129 channels", new(2, 5, 5, 8, 129, 3, 3, 1, 1, 1), bias: true), 129, scaleShift: true),
        Normalised(Joined("3x3, to 64 channels", new(2, 7, 5, 48, 64, 3, 3, 1, 1, 1), 16, bias: true), 64, scaleShift: true),
        Normalised(Upsampled("3x3, to 20 channels", new(1, 6, 10, 8, 20, 3, 3, 1, 1, 1), bias: true), 20, scaleShift: true),
        Normalised(Convolution("3x3, NaN reaches its own windows only", new(2, 7, 5, 3, 8, 3, 3, 1, 1, 1), bias: true,
            planted: [float.NaN]), 8, scaleShift: true),
        Normalised(Convolution("3x3, rows of zeros", new(2, 7, 5, 4, 8, 3, 3, 1, 1, 1), planted: new float[2 * 7 * 5 * 4]), 8,
            scaleShift: true),
    ];

    /// <summary>A convolution, RMSNorm, scale-shift and SiLU as one op.</summary>
    private static OpCase Normalised(OpCase convolution, int channels, bool scaleShift = false, double floor = 0)
    {
        int samples = convolution.Inputs[0].Shape[0], own = convolution.Inputs.Count;
        bool isJoined = convolution.Inputs[1].Name != "filter", isUpsampled = convolution.Name.EndsWith("upsampled");
        bool hasBias = convolution.Inputs[^1].Name == "bias", isNormal = convolution.HasGradient;
        List<OpInput> inputs = [.. convolution.Inputs, Input("gain", [channels]) with { HasGradient = isNormal }];
        if (scaleShift)
            inputs.Add(Input("scaleShift", [samples, 2 * channels], -1, 1) with { HasGradient = isNormal });
        return new OpCase($"{convolution.Name}, normalised{(scaleShift ? ", scaled and shifted" : "")}", inputs,
            (tape, t) =>
            {
                Conv2DInput x = isJoined ? Conv2DInput.Concat(t[0], t[1]) : isUpsampled ? Conv2DInput.NearestUpsample(t[0]) : t[0];
                return tape.Conv2DRmsNormSilu(x, t[isJoined ? 2 : 1], hasBias ? t[own - 1] : null, t[own], scaleShift ? t[own + 1] : null);
            },
            v =>
            {
                double[] convolved = convolution.Reference(v[..own]);
                var norm = RootMeanSquare("", [samples, convolved.Length / samples / channels, channels], silu: true, scaleShift);
                return norm.Reference([convolved, .. v[own..]]);
            }) { Tiny = convolution.Tiny, GradientFloor = floor };
    }

    private static OpCase Slice(string name, Conv2DShape s, (int, int) beside, Activation activation = Activation.None, bool tiny = false)
        => IntoSlice(Convolution(name, s, bias: true, activation: activation, tiny: tiny), [s.N, s.OutH, s.OutW, s.K], beside,
            (tape, y, t) => tape.Conv2DInto(y, t[0], t[1], t[2], s.Stride, s.PadH, s.PadW, activation));

    private static OpCase Convolution(string name, Conv2DShape s, bool bias = false, bool residual = false,
        Activation activation = Activation.None, bool tiny = false, float[]? planted = null)
    {
        double limit = 2 / Math.Sqrt(s.Depth);
        List<OpInput> inputs = [Input("x", [s.N, s.H, s.W, s.C]), Input("filter", [s.K, s.R, s.S, s.C], -limit, limit)];
        if (bias)
            inputs.Add(Input("bias", [s.K]));
        if (residual)
            inputs.Add(Input("residual", [s.N, s.OutH, s.OutW, s.K]));
        if (planted is not null)
            inputs = [.. inputs.Select(input => input with { HasGradient = false, Planted = input.Name == "x" ? planted : [] })];
        return new OpCase($"Conv2D {name}", inputs,
            (tape, t) => tape.Conv2D(t[0], t[1], bias ? t[2] : null, s.Stride, s.PadH, s.PadW, residual ? t[^1] : null, activation),
            v => Convolved(s, v[0], v[1], bias ? v[2] : null, residual ? v[^1] : null, activation)) { Tiny = tiny };
    }

    /// <summary>The same convolution of two tensors that hold <paramref name="first"/> channels and the others.</summary>
    private static OpCase Joined(string name, Conv2DShape s, int first, bool bias = false, bool residual = false,
        Activation activation = Activation.None, bool tiny = false, float[]? planted = null)
    {
        var whole = Convolution(name, s, bias, residual, activation, tiny);
        var x = Input("x", [s.N, s.H, s.W, first]) with { Planted = planted ?? [] };
        List<OpInput> inputs = [x, Input("beside x", [s.N, s.H, s.W, s.C - first]), .. whole.Inputs.Skip(1)];
        if (planted is not null)
            inputs = [.. inputs.Select(input => input with { HasGradient = false })];
        return new OpCase($"{whole.Name}, {first} of {s.C} channels in another tensor", inputs,
            (tape, t) => tape.Conv2D(Conv2DInput.Concat(t[0], t[1]), t[2], bias ? t[3] : null, s.Stride, s.PadH, s.PadW,
                residual ? t[^1] : null, activation),
            v => whole.Reference([JoinedChannels(s, first, v[0], v[1]), .. v[2..]])) { Tiny = tiny };
    }

    /// <summary>The same convolution of images whose every pixel is repeated in a 2×2 block; sizes are those after it.</summary>
    private static OpCase Upsampled(string name, Conv2DShape s, bool bias = false, bool residual = false,
        Activation activation = Activation.None, bool tiny = false, float[]? planted = null)
    {
        var whole = Convolution(name, s, bias, residual, activation, tiny);
        List<OpInput> inputs = [Input("x", [s.N, s.H / 2, s.W / 2, s.C]) with { Planted = planted ?? [] }, .. whole.Inputs.Skip(1)];
        if (planted is not null)
            inputs = [.. inputs.Select(input => input with { HasGradient = false })];
        return new OpCase($"{whole.Name}, upsampled", inputs,
            (tape, t) => tape.Conv2D(Conv2DInput.NearestUpsample(t[0]), t[1], bias ? t[2] : null, s.Stride, s.PadH, s.PadW,
                residual ? t[^1] : null, activation),
            v => whole.Reference([RepeatedPixels(s.N, s.H / 2, s.W / 2, s.C, v[0]), .. v[1..]])) { Tiny = tiny };
    }

    private static OpCase JoinedToItself(string name, Conv2DShape s)
    {
        var whole = Convolution(name, s);
        return new OpCase($"{whole.Name}, one tensor twice", [Input("x", [s.N, s.H, s.W, s.C / 2]), whole.Inputs[1]],
            (tape, t) => tape.Conv2D(Conv2DInput.Concat(t[0], t[0]), t[1], null, s.Stride, s.PadH, s.PadW),
            v => whole.Reference([JoinedChannels(s, s.C / 2, v[0], v[0]), v[1]]));
    }

    private static double[] JoinedChannels(Conv2DShape s, int first, double[] a, double[] b)
        => Each(s.N * s.H * s.W * s.C, i => (i % s.C) is var c && c < first
            ? a[(i / s.C * first) + c] : b[(i / s.C * (s.C - first)) + c - first]);

    private static double[] Convolved(Conv2DShape s, double[] x, double[] filter, double[]? bias, double[]? residual, Activation activation)
    {
        var y = new double[s.Pixels * s.K];
        int at = 0;
        for (int n = 0; n < s.N; n++)
            for (int i = 0; i < s.OutH; i++)
                for (int j = 0; j < s.OutW; j++)
                    for (int k = 0; k < s.K; k++, at++)
                    {
                        double sum = (bias?[k] ?? 0) + (residual?[at] ?? 0);
                        for (int r = 0; r < s.R; r++)
                            for (int q = 0; q < s.S; q++)
                            {
                                int row = (i * s.Stride) + r - s.PadH, column = (j * s.Stride) + q - s.PadW;
                                if (row < 0 || row >= s.H || column < 0 || column >= s.W)
                                    continue;
                                int from = ((((n * s.H) + row) * s.W) + column) * s.C;
                                int tap = ((((k * s.R) + r) * s.S) + q) * s.C;
                                for (int c = 0; c < s.C; c++)
                                    sum += x[from + c] * filter[tap + c];
                            }
                        y[at] = activation switch
                        {
                            Activation.Relu => Math.Max(sum, 0),
                            Activation.Silu => sum * Sigmoid(sum),
                            _ => sum,
                        };
                    }
        return y;
    }
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Maxima of windows.</summary>
    public static IEnumerable<OpCase> MaxPool2D =>
    [
        Maxima("one value", new(1, 1, 1, 1, 1, 1, 0), tiny: true),
        Maxima("3 at stride 2", new(2, 7, 5, 3, 3, 2, 0), tiny: true),
        Maxima("3 at stride 1, padded", new(2, 5, 7, 5, 3, 1, 1)),
        Maxima("2 at stride 2", new(1, 8, 6, 17, 2, 2, 0)),
        Maxima("3 at stride 2, padded", new(1, 9, 11, 33, 3, 2, 1)),
        Maxima("5 at stride 3, padded", new(3, 10, 8, 7, 5, 3, 2)),
        Maxima("window of the whole image", new(2, 3, 3, 65, 3, 1, 0)),
        Maxima("all negative, padded", new(1, 5, 5, 3, 3, 1, 1), x: Input("x", [1, 5, 5, 3], -3, -1)),
        Maxima("non-finite values", new(1, 7, 7, 2, 3, 2, 1), x: Constant("x", [1, 7, 7, 2], planted: NonFinite)),
        MaximaSlice("3 at stride 2", new(2, 7, 5, 3, 3, 2, 0), (2, 5), tiny: true),
        MaximaSlice("3 at stride 1, padded", new(2, 5, 7, 33, 3, 1, 1), (64, 0)),
    ];

    private static OpCase MaximaSlice(string name, PoolShape s, (int, int) beside, bool tiny = false)
        => IntoSlice(Maxima(name, s, tiny), [s.N, s.OutH, s.OutW, s.C], beside,
            (tape, y, t) => tape.MaxPool2DInto(y, t[0], s.Window, s.Stride, s.Pad));

    private static OpCase Maxima(string name, PoolShape s, bool tiny = false, OpInput? x = null)
        => new($"MaxPool2D {name}", [x ?? Input("x", [s.N, s.H, s.W, s.C])], (tape, t) => tape.MaxPool2D(t[0], s.Window, s.Stride, s.Pad),
            v => Pooled(s, v[0], window => window.Any(double.IsNaN) ? double.NaN : window.Max())) { Tolerance = 0, Tiny = tiny };

    /// <summary>Applies a function to the part of each window that lies inside the image.</summary>
    private static double[] Pooled(PoolShape s, double[] x, Func<double[], double> function) => Each(s.N * s.OutH * s.OutW * s.C, i =>
    {
        int channel = i % s.C, column = i / s.C % s.OutW, row = i / s.C / s.OutW % s.OutH, image = i / s.C / s.OutW / s.OutH;
        int top = (row * s.Stride) - s.Pad, left = (column * s.Stride) - s.Pad;
        var window = from h in Enumerable.Range(top, s.Window)
                     from w in Enumerable.Range(left, s.Window)
                     where h >= 0 && h < s.H && w >= 0 && w < s.W
                     select x[(((((image * s.H) + h) * s.W) + w) * s.C) + channel];
        return function([.. window]);
    });
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Means of windows, with the padding counted and not.</summary>
    public static IEnumerable<OpCase> AveragePool2D =>
    [
        Means("one value", new(1, 1, 1, 1, 1, 1, 0, true), tiny: true),
        Means("3 at stride 2", new(2, 7, 5, 3, 3, 2, 0, true), tiny: true),
        Means("3 at stride 1, padding counted", new(2, 5, 7, 5, 3, 1, 1, true)),
        Means("3 at stride 1, padding not counted", new(2, 5, 7, 5, 3, 1, 1, false), tiny: true),
        Means("5 at stride 3", new(1, 11, 8, 17, 5, 3, 0, true)),
        Means("5 at stride 3, padding not counted", new(1, 10, 8, 33, 5, 3, 2, false)),
        Means("2 at stride 2, padded", new(3, 4, 6, 65, 2, 2, 1, true)),
        MeansSlice("3 at stride 1, padding not counted", new(2, 5, 7, 5, 3, 1, 1, false), (1, 3), tiny: true),
        MeansSlice("3 at stride 2", new(2, 7, 5, 17, 3, 2, 0, true), (16, 0)),
    ];

    private static OpCase MeansSlice(string name, PoolShape s, (int, int) beside, bool tiny = false)
        => IntoSlice(Means(name, s, tiny), [s.N, s.OutH, s.OutW, s.C], beside,
            (tape, y, t) => tape.AveragePool2DInto(y, t[0], s.Window, s.Stride, s.Pad, s.CountPadding));

    private static OpCase Means(string name, PoolShape s, bool tiny = false)
        => new($"AveragePool2D {name}", [Input("x", [s.N, s.H, s.W, s.C])],
            (tape, t) => tape.AveragePool2D(t[0], s.Window, s.Stride, s.Pad, s.CountPadding),
            v => Pooled(s, v[0], window => window.Sum() / (s.CountPadding ? s.Window * s.Window : window.Length))) { Tiny = tiny };
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Doubling an image.</summary>
    public static IEnumerable<OpCase> NearestUpsample =>
    [
        Doubled(1, 1, 1, 1, tiny: true),
        Doubled(2, 3, 5, 3, tiny: true),
        Doubled(1, 7, 5, 17),
        Doubled(3, 1, 3, 65),
    ];

    private static OpCase Doubled(int n, int h, int w, int c, bool tiny = false)
        => new($"NearestUpsample {n}x{h}x{w}x{c}", [Input("x", [n, h, w, c])], (tape, t) => tape.NearestUpsample(t[0]),
            v => RepeatedPixels(n, h, w, c, v[0])) { Tolerance = 0, Tiny = tiny };

    private static double[] RepeatedPixels(int n, int h, int w, int c, double[] x) => Each(4 * n * h * w * c, i =>
    {
        int channel = i % c, column = i / c % (2 * w), row = i / c / (2 * w) % (2 * h), image = i / (4 * h * w * c);
        return x[(((((image * h) + (row / 2)) * w) + (column / 2)) * c) + channel];
    });
}

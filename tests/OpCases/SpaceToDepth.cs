namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Folding 2×2 pixels into channels.</summary>
    public static IEnumerable<OpCase> SpaceToDepth =>
    [
        Folded(1, 2, 2, 1, tiny: true),
        Folded(2, 4, 6, 3, tiny: true),
        Folded(1, 10, 2, 17),
        Folded(3, 2, 14, 65),
    ];

    private static OpCase Folded(int n, int h, int w, int c, bool tiny = false)
        => new($"SpaceToDepth {n}x{h}x{w}x{c}", [Input("x", [n, h, w, c])], (tape, t) => tape.SpaceToDepth(t[0]),
            v => Each(n * h * w * c, i =>
            {
                int channel = i % (4 * c), column = i / (4 * c) % (w / 2), row = i / (4 * c) / (w / 2) % (h / 2), image = i / (h * w * c);
                int y = (2 * row) + (channel / 2 % 2), x = (2 * column) + (channel % 2);
                return v[0][(((((image * h) + y) * w) + x) * c) + (channel / 4)];
            })) { Tolerance = 0, Tiny = tiny };
}

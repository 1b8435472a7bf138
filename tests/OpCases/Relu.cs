namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>max(x, 0).</summary>
    public static IEnumerable<OpCase> Relu =>
    [
        .. Pointwise("Relu", (tape, x) => tape.Relu(x), x => Math.Max(x, 0)),
        new OpCase("Relu zeros and non-finite values", [Constant("x", [3, 7], planted: [0, -0f, .. NonFinite])],
            (tape, t) => tape.Relu(t[0]), v => Array.ConvertAll(v[0], x => Math.Max(x, 0))) { Tiny = true },
    ];
}

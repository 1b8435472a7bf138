namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>x · sigmoid(x).</summary>
    public static IEnumerable<OpCase> Silu =>
    [
        .. Pointwise("Silu", (tape, x) => tape.Silu(x), SiluOf),
        new OpCase("Silu far out", [Constant("x", [2, 7], -100, 100, [-1e4f, 1e4f, -88.5f, -104, 0, float.PositiveInfinity, float.NaN])],
            (tape, t) => tape.Silu(t[0]), v => Array.ConvertAll(v[0], SiluOf)),
    ];

    private static double SiluOf(double x) => x / (1 + Math.Exp(-x));

    /// <summary>The cases of a function of one value: one value, odd lengths, one past a vector, past a block of threads and past a
    /// work item of a core.</summary>
    private static IEnumerable<OpCase> Pointwise(string op, Func<Tape, Tensor, Tensor> call, Func<double, double> function)
    {
        Shape[] shapes = [[1], [2, 7, 5, 3], [17], [3, 5, 65], [1025], [40_001]];
        return shapes.Select(shape => new OpCase($"{op} {shape}", [Input("x", shape, -5, 5)],
            (tape, t) => call(tape, t[0]), v => Array.ConvertAll(v[0], x => function(x))) { Tiny = shape.Count < 300 });
    }
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Sums of two tensors, and of a tensor with itself.</summary>
    public static IEnumerable<OpCase> Add =>
    [
        Added([1], tiny: true),
        Added([2, 3, 5, 3], tiny: true),
        Added([17, 65]),
        Added([1025]),
        Added([3, 20_001]),
        new OpCase("Add to itself", [Input("x", [3, 7])], (tape, t) => tape.Add(t[0], t[0]),
            v => Array.ConvertAll(v[0], x => 2 * x)) { Tiny = true },
        new OpCase("Add non-finite values", [Constant("a", [3, 7], planted: NonFinite), Constant("b", [3, 7])],
            (tape, t) => tape.Add(t[0], t[1]), v => Each(21, i => v[0][i] + v[1][i])),
    ];

    private static OpCase Added(Shape shape, bool tiny = false)
        => new($"Add {shape}", [Input("a", shape), Input("b", shape)], (tape, t) => tape.Add(t[0], t[1]),
            v => Each(shape.Count, i => v[0][i] + v[1][i])) { Tolerance = 1e-7, Tiny = tiny };
}

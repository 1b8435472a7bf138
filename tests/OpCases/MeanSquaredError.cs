namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Losses, with and without weights per sample.</summary>
    public static IEnumerable<OpCase> MeanSquaredError =>
    [
        Loss([1, 1], weighted: false, tiny: true),
        Loss([2, 3, 5, 3], weighted: true, tiny: true),
        Loss([17, 3], weighted: false),
        Loss([3, 1025], weighted: true),
        Loss([5, 7, 9, 3], weighted: false),
        Loss([3, 20_001], weighted: true),
        Loss([129, 2], weighted: true),
        new OpCase("MeanSquaredError with NaN", [Constant("prediction", [2, 65], planted: [float.NaN]), Constant("target", [2, 65])],
            (tape, t) => tape.MeanSquaredError(t[0], t[1]), _ => [double.NaN]),
    ];

    private static OpCase Loss(Shape shape, bool weighted, bool tiny = false)
    {
        int samples = shape[0], perSample = (int)shape.Count / samples;
        List<OpInput> inputs = [Input("prediction", shape), Constant("target", shape)];
        if (weighted)
            inputs.Add(Constant("weights", [samples], 0, 5));
        return new OpCase($"MeanSquaredError {shape}{(weighted ? ", weighted" : "")}", inputs,
            (tape, t) => tape.MeanSquaredError(t[0], t[1], weighted ? t[2] : null),
            v => [Each(shape.Count, i => (weighted ? v[2][i / perSample] : 1) * Math.Pow(v[0][i] - v[1][i], 2)).Average()]) { Tiny = tiny };
    }
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Sums of up to three tensors with coefficients per sample.</summary>
    public static IEnumerable<OpCase> LinearCombination =>
    [
        Combined("one value", [1, 1], 3, tiny: true),
        Combined("scaling alone", [2, 3, 5, 3], 1, tiny: true),
        Combined("two terms", [3, 65], 2),
        Combined("three terms", [5, 7, 9, 3], 3),
        Combined("two terms, clamped", [17, 33], 2, clamp: 1),
        Combined("three terms, clamped", [2, 1025], 3, clamp: 0.5f),
        Combined("40,001 values each", [2, 40_001], 3),
        Combined("clamped, non-finite values", [3, 5], 2, clamp: 1, planted: NonFinite, tiny: true),
        Combined("non-finite values", [3, 5], 3, planted: NonFinite),
    ];

    private static OpCase Combined(string name, Shape shape, int terms, float clamp = float.PositiveInfinity, bool tiny = false,
        float[]? planted = null)
    {
        int samples = shape[0], perSample = (int)shape.Count / samples;
        List<OpInput> inputs = [Constant("coefficients", [samples, 3], 0.1, 2), Constant("x", shape, planted: planted)];
        for (int i = 1; i < terms; i++)
            inputs.Add(Constant(i == 1 ? "z" : "w", shape));
        return new OpCase($"LinearCombination {name}", inputs,
            (tape, t) => tape.LinearCombination(t[0], t[1], terms > 1 ? t[2] : null, terms > 2 ? t[3] : null, clamp),
            v => Each(shape.Count, i =>
            {
                double sum = Enumerable.Range(0, terms).Sum(term => v[0][(i / perSample * 3) + term] * v[term + 1][i]);
                return Math.Clamp(sum, -clamp, clamp);
            })) { Tolerance = 1e-6, Tiny = tiny };
    }
}

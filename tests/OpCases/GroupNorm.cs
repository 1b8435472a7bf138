namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Group normalisation, from one group of all channels to one channel each.</summary>
    public static IEnumerable<OpCase> GroupNorm =>
    [
        Grouped("one group", [2, 3, 5, 3], 1),
        Grouped("2 groups", [1, 3, 6], 2, tiny: true),
        Grouped("a group per channel", [2, 5, 3, 7], 7),
        Grouped("8 groups", [2, 7, 5, 16], 8),
        Grouped("3 groups of 11", [1, 9, 11, 33], 3),
        Grouped("32 groups of 4", [3, 5, 128], 32),
        Grouped("601 rows", [1, 601, 64], 4),
        Grouped("rows only", [5, 12], 4),
        // The variance is small against the mean: a one-pass formula loses it.
        Grouped("mean of 100", [2, 13, 8], 2, x: Input("x", [2, 13, 8], 99, 101), tolerance: 5e-5),
        Grouped("constant image", [2, 5, 6], 2, x: Constant("x", [2, 5, 6], 0.5, 0.5)),
    ];

    private static OpCase Grouped(string name, Shape shape, int groups, bool tiny = false, OpInput? x = null, double tolerance = 5e-6)
    {
        const double Epsilon = 1e-5f;
        int samples = shape[0], channels = shape[^1], positions = (int)(shape.Count / samples / channels), width = channels / groups;
        bool differentiable = x?.HasGradient ?? true;
        return new OpCase($"GroupNorm {name}",
            [x ?? Input("x", shape), Input("gain", [channels]) with { HasGradient = differentiable },
                Input("bias", [channels]) with { HasGradient = differentiable }],
            (tape, t) => tape.GroupNorm(t[0], groups, t[1], t[2]),
            v =>
            {
                var y = new double[shape.Count];
                for (int n = 0; n < samples; n++)
                    for (int g = 0; g < groups; g++)
                    {
                        int[] members = [.. from p in Enumerable.Range(n * positions, positions)
                                            from c in Enumerable.Range(g * width, width)
                                            select (p * channels) + c];
                        double mean = members.Average(i => v[0][i]);
                        double variance = members.Average(i => (v[0][i] - mean) * (v[0][i] - mean));
                        foreach (int i in members)
                            y[i] = ((v[0][i] - mean) / Math.Sqrt(variance + Epsilon) * v[1][i % channels]) + v[2][i % channels];
                    }
                return y;
            }) { Tiny = tiny, Tolerance = tolerance, GradientTolerance = 2 * tolerance };
    }
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Multi-head attention with memory slots.</summary>
    public static IEnumerable<OpCase> Attention =>
    [
        Attending("one token, one slot", new(1, 1, 1, 1, 1), tiny: true),
        Attending("2 heads of 3", new(2, 5, 2, 3, 2), tiny: true),
        Attending("4 heads of 32", new(1, 17, 4, 32, 4)),
        Attending("5 heads of 8, 3 images", new(3, 11, 5, 8, 1)),
        Attending("65 tokens", new(1, 65, 1, 16, 4)),
        Attending("one token", new(3, 1, 2, 8, 4)),
        Attending("head of 65", new(1, 7, 1, 65, 3)),
        Attending("head of 31, 33 tokens", new(1, 33, 2, 31, 5)),
        Attending("129 tokens", new(1, 129, 1, 5, 2)),
        Attending("saturated", new(2, 9, 2, 8, 4), range: 12),
    ];

    private static OpCase Attending(string name, AttentionShape s, bool tiny = false, double range = 2)
        => new($"Attention {name}", [Input("qkv", [s.N, s.T, 3 * s.Width], -range, range), Input("memory", [2, s.Heads, s.M, s.D])],
            (tape, t) => tape.Attention(t[0], t[1]), v => Attended(s, v[0], v[1]))
        {
            Tiny = tiny,
            // Large logits carry a rounding error of their own size into the exponential.
            Tolerance = range > 2 ? 5e-5 : 5e-6,
            GradientTolerance = range > 2 ? 2e-4 : 1e-5,
        };

    private static double[] Attended(AttentionShape s, double[] qkv, double[] memory)
    {
        var y = new double[s.N * s.T * s.Width];
        double Value(int part, int n, int head, int at, int d) => at < s.M
            ? memory[(((((part - 1) * s.Heads) + head) * s.M) + at) * s.D + d]
            : qkv[(((n * s.T) + at - s.M) * 3 * s.Width) + (part * s.Width) + (head * s.D) + d];
        for (int n = 0; n < s.N; n++)
            for (int head = 0; head < s.Heads; head++)
                for (int token = 0; token < s.T; token++)
                {
                    var weights = new double[s.M + s.T];
                    for (int at = 0; at < weights.Length; at++)
                    {
                        double dot = 0;
                        for (int d = 0; d < s.D; d++)
                            dot += Value(0, n, head, s.M + token, d) * Value(1, n, head, at, d);
                        weights[at] = dot / Math.Sqrt(s.D);
                    }
                    double largest = weights.Max();
                    weights = Array.ConvertAll(weights, w => Math.Exp(w - largest));
                    double sum = weights.Sum();
                    for (int at = 0; at < weights.Length; at++)
                        for (int d = 0; d < s.D; d++)
                            y[(((n * s.T) + token) * s.Width) + (head * s.D) + d] += weights[at] / sum * Value(2, n, head, at, d);
                }
        return y;
    }
}

namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Linear attention with memory slots.</summary>
    public static IEnumerable<OpCase> LinearAttention =>
    [
        AttendingLinearly("one token, one slot", new(1, 1, 1, 1, 1), tiny: true, floor: 1),
        AttendingLinearly("2 heads of 3", new(2, 5, 2, 3, 2), tiny: true),
        AttendingLinearly("4 heads of 32", new(1, 17, 4, 32, 4)),
        AttendingLinearly("5 heads of 8, 3 images", new(3, 11, 5, 8, 1)),
        AttendingLinearly("65 tokens", new(1, 65, 1, 16, 4)),
        AttendingLinearly("one token", new(3, 1, 2, 8, 4)),
        AttendingLinearly("head of 33", new(1, 7, 1, 33, 3)),
        AttendingLinearly("257 tokens", new(1, 257, 1, 5, 2)),
        AttendingLinearly("saturated", new(2, 9, 2, 8, 4), range: 20),
    ];

    private static OpCase AttendingLinearly(string name, AttentionShape s, bool tiny = false, double range = 2, double floor = 0)
        => new($"LinearAttention {name}", [Input("qkv", [s.N, s.T, 3 * s.Width], -range, range), Input("memory", [2, s.Heads, s.D, s.M])],
            (tape, t) => tape.LinearAttention(t[0], t[1]), v => AttendedLinearly(s, v[0], v[1]))
        {
            Tiny = tiny,
            GradientFloor = floor,
            GradientTolerance = range > 2 ? 5e-5 : 1e-5,
        };

    private static double[] AttendedLinearly(AttentionShape s, double[] qkv, double[] memory)
    {
        var y = new double[s.N * s.T * s.Width];
        int places = s.M + s.T;
        double Value(int part, int n, int head, int at, int d) => at < s.M
            ? memory[(((((part - 1) * s.Heads) + head) * s.D) + d) * s.M + at]
            : qkv[(((n * s.T) + at - s.M) * 3 * s.Width) + (part * s.Width) + (head * s.D) + d];
        for (int n = 0; n < s.N; n++)
            for (int head = 0; head < s.Heads; head++)
            {
                var context = new double[s.D, s.D];
                for (int d = 0; d < s.D; d++)
                {
                    var keys = Each(places, at => Value(1, n, head, at, d));
                    double largest = keys.Max(), sum = keys.Sum(key => Math.Exp(key - largest));
                    for (int at = 0; at < places; at++)
                        for (int e = 0; e < s.D; e++)
                            context[d, e] += Math.Exp(keys[at] - largest) / sum * Value(2, n, head, at, e);
                }
                for (int token = 0; token < s.T; token++)
                {
                    var query = Each(s.D, d => Value(0, n, head, s.M + token, d));
                    double largest = query.Max(), sum = query.Sum(value => Math.Exp(value - largest)) * Math.Sqrt(s.D);
                    for (int d = 0; d < s.D; d++)
                        for (int e = 0; e < s.D; e++)
                            y[(((n * s.T) + token) * s.Width) + (head * s.D) + e] += Math.Exp(query[d] - largest) / sum * context[d, e];
                }
            }
        return y;
    }
}

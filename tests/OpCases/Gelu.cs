namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>x · Φ(x).</summary>
    public static IEnumerable<OpCase> Gelu =>
    [
        .. Pointwise("Gelu", (tape, x) => tape.Gelu(x), GeluOf),
        new OpCase("Gelu far out", [Constant("x", [3, 7], -20, 20, [-14.5f, -13, 30, 0, -1e-30f, float.PositiveInfinity, float.NaN])],
            (tape, t) => tape.Gelu(t[0]), v => Array.ConvertAll(v[0], GeluOf)),
    ];

    private static double GeluOf(double x) => x * (x < 0 ? UpperTail(-x) : 1 - UpperTail(x));

    /// <summary>P(X &gt; x) of a standard normal X, x ≥ 0: the power series of Φ, far out Laplace's continued fraction.</summary>
    private static double UpperTail(double x)
    {
        double density = Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
        if (x > 4)
        {
            double fraction = 0;
            for (int k = 150; k >= 1; k--)
                fraction = k / (x + fraction);
            return density == 0 ? 0 : density / (x + fraction);
        }
        double term = x, sum = x;
        for (int k = 3; k < 200; k += 2)
            sum += term *= x * x / k;
        return double.IsNaN(x) ? x : 0.5 - (density * sum);
    }
}

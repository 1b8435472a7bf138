namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Sines and cosines of diffusion times.</summary>
    public static IEnumerable<OpCase> SinusoidalEmbedding =>
    [
        Sinusoids("one time", 4, 10000, 0),
        Sinusoids("steps of a schedule", 64, 10000, 0, 1, 37, 500, 998, 999, 4000, 10000),
        Sinusoids("odd half", 6, 10000, 3, 999),
        Sinusoids("theta 1000", 130, 1000, 1, 250, 999),
    ];

    private static OpCase Sinusoids(string name, int dim, float theta, params float[] times)
    {
        int half = dim / 2;
        return new OpCase($"SinusoidalEmbedding {name}", [Constant("times", [times.Length], planted: times)],
            (tape, t) => tape.SinusoidalEmbedding(t[0], dim, theta), v => Each(times.Length * dim, i =>
            {
                double angle = v[0][i / dim] * Math.Exp(-Math.Log(theta) / (half - 1) * (i % dim % half));
                return i % dim < half ? Math.Sin(angle) : Math.Cos(angle);
            })) { Tiny = times.Length <= 2 };
    }
}

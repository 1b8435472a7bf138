namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Sines and cosines at learned frequencies.</summary>
    public static IEnumerable<OpCase> FourierEmbedding =>
    [
        Fourier(1, 1, tiny: true),
        Fourier(3, 5, tiny: true),
        Fourier(17, 8),
        Fourier(5, 65),
        Fourier(129, 2),
    ];

    private static OpCase Fourier(int n, int half, bool tiny = false)
    {
        int width = 1 + (2 * half);
        return new OpCase($"FourierEmbedding {n} times, {half} frequencies", [Constant("times", [n], 0, 8), Input("weights", [half])],
            (tape, t) => tape.FourierEmbedding(t[0], t[1]), v => Each(n * width, i =>
            {
                double time = v[0][i / width];
                int at = i % width;
                return at == 0 ? time : at <= half ? Math.Sin(2 * Math.PI * time * v[1][at - 1])
                    : Math.Cos(2 * Math.PI * time * v[1][at - 1 - half]);
            }))
        {
            // Angles reach 100 rad: single precision places them to 1e-5.
            Tolerance = 2e-5,
            GradientTolerance = 4e-5,
            Tiny = tiny,
        };
    }
}

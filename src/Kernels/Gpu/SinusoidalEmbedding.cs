using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SinusoidalEmbedding(int n, int dim, float theta, Tensor times, Tensor y)
        => _launcher.ForEach((long)n * (dim / 2),
            new SinusoidalEmbeddingKernel(View(times), Table(Frequencies(dim, theta)), dim / 2, View(y)));

    /// <summary>
    /// Frequencies in turns, each as three parts of which the first two have 12 bits: the angle of a large time is exact to the bits of a
    /// turn that a float holds, where a frequency rounded to a float would be off by 1e-3 at time 10,000.
    /// </summary>
    private static float[] Frequencies(int dim, float theta)
    {
        int half = dim / 2;
        var parts = new float[3 * half];
        for (int i = 0; i < half; i++)
        {
            double turns = Math.Exp(-i * Math.Log(theta) / (half - 1)) / (2 * Math.PI);
            float upper = KernelMath.UpperHalf((float)turns), middle = KernelMath.UpperHalf((float)(turns - upper));
            parts[3 * i] = upper;
            parts[(3 * i) + 1] = middle;
            parts[(3 * i) + 2] = (float)(turns - upper - middle);
        }
        return parts;
    }

    /// <summary>Thread = one frequency of one time: a sine and a cosine.</summary>
    internal readonly struct SinusoidalEmbeddingKernel(ArrayView<float> times, ArrayView<float> frequencies, int half, ArrayView<float> y)
        : IElementKernel
    {
        public void Run(int i)
        {
            int n = i / half, k = i - (n * half);
            float time = times[n], timeA = KernelMath.UpperHalf(time), timeB = time - timeA;
            float upper = frequencies[3 * k], middle = frequencies[(3 * k) + 1];
            float turns = (time * frequencies[(3 * k) + 2]) + KernelMath.NearestFraction(timeB * middle);
            turns += KernelMath.NearestFraction(timeA * middle);
            turns += KernelMath.NearestFraction(timeB * upper);
            turns += KernelMath.NearestFraction(timeA * upper);
            y[(n * 2 * half) + k] = KernelMath.SinTurns(turns);
            y[(((2 * n) + 1) * half) + k] = KernelMath.CosTurns(turns);
        }
    }
}

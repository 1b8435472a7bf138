namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void SinusoidalEmbedding(int n, int dim, float theta, Tensor times, Tensor y)
    {
        float* t = Pointer(times), py = Pointer(y);
        int half = dim / 2;
        for (int i = 0; i < half; i++)
        {
            double frequency = Math.Exp(-i * Math.Log(theta) / (half - 1));
            for (int sample = 0; sample < n; sample++)
            {
                var (sin, cos) = Math.SinCos(t[sample] * frequency);
                py[((long)sample * dim) + i] = (float)sin;
                py[((long)sample * dim) + half + i] = (float)cos;
            }
        }
    }
}

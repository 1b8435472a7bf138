namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SinusoidalEmbedding(int n, int dim, float theta, Tensor times, Tensor y)
        => throw new NotSupportedException();
}

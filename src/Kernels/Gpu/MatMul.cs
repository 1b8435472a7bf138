namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void MatMul(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
        => throw new NotSupportedException();
}

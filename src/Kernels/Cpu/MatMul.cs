namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void MatMul(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
        => throw new NotSupportedException();
}

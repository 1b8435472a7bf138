namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void MatMul(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
    {
        if (c.Tensor is not null)
            GemmMatMul.Run(s, Pointer(a), Pointer(b), Pointer(c.Tensor), c.Accumulate);
    }
}

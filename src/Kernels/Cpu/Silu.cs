namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void SiluForward(Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void SiluBackward(Tensor x, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void ReluForward(Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void ReluBackward(Tensor y, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

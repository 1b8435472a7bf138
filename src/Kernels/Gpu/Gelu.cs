namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void GeluForward(Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void GeluBackward(Tensor x, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

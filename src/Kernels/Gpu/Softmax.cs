namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SoftmaxForward(in AxisShape s, Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void SoftmaxBackward(in AxisShape s, Tensor y, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

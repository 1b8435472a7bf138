namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void MaxPool2DForward(in PoolShape s, Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void MaxPool2DBackward(in PoolShape s, Tensor x, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void AveragePool2DForward(in PoolShape s, Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void AveragePool2DBackward(in PoolShape s, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

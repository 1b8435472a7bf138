namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void GlobalAveragePoolForward(in RowShape s, Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void GlobalAveragePoolBackward(in RowShape s, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void ScaleShiftForward(in RowShape s, Tensor x, Tensor scaleShift, Tensor y)
        => throw new NotSupportedException();

    public override void ScaleShiftBackward(in RowShape s, Tensor x, Tensor scaleShift, Tensor dy, GradientTarget dx, GradientTarget dScaleShift)
        => throw new NotSupportedException();
}

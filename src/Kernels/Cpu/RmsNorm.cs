namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void RmsNormForward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor y)
        => throw new NotSupportedException();

    public override void RmsNormBackward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor dy, GradientTarget dx, GradientTarget dGain, GradientTarget dScaleShift)
        => throw new NotSupportedException();
}

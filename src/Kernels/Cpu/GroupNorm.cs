namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void GroupNormForward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor bias, float epsilon, Tensor y, Tensor statistics)
        => throw new NotSupportedException();

    public override void GroupNormBackward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor statistics, Tensor dy, GradientTarget dx, GradientTarget dGain, GradientTarget dBias)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Adam(in AdamStep step, Tensor value, Tensor gradient, Tensor firstMoment, Tensor secondMoment, Tensor squaredNorm)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void AddForward(Tensor a, Tensor b, Tensor y)
        => throw new NotSupportedException();

    public override void Accumulate(Tensor x, GradientTarget target)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Lerp(Tensor average, Tensor value, float weight)
        => throw new NotSupportedException();
}

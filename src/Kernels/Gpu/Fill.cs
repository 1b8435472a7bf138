namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Fill(Tensor y, float value)
        => throw new NotSupportedException();
}

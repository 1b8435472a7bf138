namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Fill(Tensor y, float value)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Fill(Tensor y, float value) => Span(y).Fill(value);
}

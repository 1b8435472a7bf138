namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Resize(int n, int c, ResizeTaps vertical, ResizeTaps horizontal, Tensor x, GradientTarget y)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Resize(int n, int c, ResizeTaps vertical, ResizeTaps horizontal, Tensor x, GradientTarget y)
        => throw new NotSupportedException();
}

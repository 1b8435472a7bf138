namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void NearestUpsampleForward(int n, int h, int w, int c, Tensor x, Tensor y)
        => throw new NotSupportedException();

    public override void NearestUpsampleBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx)
        => throw new NotSupportedException();
}

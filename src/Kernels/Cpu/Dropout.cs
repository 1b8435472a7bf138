namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Dropout(float rate, in RandomKey key, Tensor x, GradientTarget y)
        => throw new NotSupportedException();
}

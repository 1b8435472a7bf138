namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SumOfSquares(Tensor x, Tensor result)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void SumOfSquares(Tensor x, Tensor result)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void LinearCombination(int n, int p, Tensor coefficients, Tensor x, Tensor? z, Tensor? w, float clamp, Tensor y)
        => throw new NotSupportedException();
}

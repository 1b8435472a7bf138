using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SumOfSquares(Tensor x, Tensor result)
        => Total(1, checked((int)x.Count), new SquareTerm(View(x)), null, 1, result);

    internal readonly struct SquareTerm(ArrayView<float> x) : ITerm
    {
        public float At(int i) => x[i] * x[i];
    }
}

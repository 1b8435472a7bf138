using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void LinearCombination(int n, int p, Tensor coefficients, Tensor x, Tensor? z, Tensor? w, float clamp, Tensor y)
        => _launcher.ForEach((long)n * p, new LinearCombinationKernel(View(coefficients), View(x), ViewOrEmpty(z), z is null ? 0 : 1,
            ViewOrEmpty(w), w is null ? 0 : 1, p, clamp, View(y)));

    internal readonly struct LinearCombinationKernel(ArrayView<float> coefficients, ArrayView<float> x, ArrayView<float> z, int hasZ,
        ArrayView<float> w, int hasW, int p, float clamp, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i)
        {
            int at = i / p * 3;
            float value = coefficients[at] * x[i];
            if (hasZ != 0)
                value += coefficients[at + 1] * z[i];
            if (hasW != 0)
                value += coefficients[at + 2] * w[i];
            value = value > clamp ? clamp : value;
            y[i] = value < -clamp ? -clamp : value;
        }
    }
}

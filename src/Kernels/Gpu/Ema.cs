using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Lerp(Tensor average, Tensor value, float weight)
        => _launcher.ForEach(average.Count, new LerpKernel(View(average), View(value), weight));

    internal readonly struct LerpKernel(ArrayView<float> average, ArrayView<float> value, float weight) : IElementKernel
    {
        public void Run(int i) => average[i] += weight * (value[i] - average[i]);
    }
}

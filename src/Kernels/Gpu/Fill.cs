using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Fill(Tensor y, float value) => _launcher.ForEach(y.Count, new FillKernel(View(y), value));

    internal readonly struct FillKernel(ArrayView<float> y, float value) : IElementKernel
    {
        public void Run(int i) => y[i] = value;
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void ReluForward(Tensor x, Tensor y) => _launcher.ForEach(x.Count, new ReluForwardKernel(View(x), View(y)));

    public override void ReluBackward(Tensor y, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(y.Count, new ReluBackwardKernel(View(y), View(dy), To(dx)));
    }

    internal readonly struct ReluForwardKernel(ArrayView<float> x, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i) => y[i] = x[i] < 0 ? 0 : x[i];
    }

    internal readonly struct ReluBackwardKernel(ArrayView<float> y, ArrayView<float> dy, Target dx) : IElementKernel
    {
        public void Run(int i) => dx.Store(i, y[i] > 0 ? dy[i] : 0);
    }
}

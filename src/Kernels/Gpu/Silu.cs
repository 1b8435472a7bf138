using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SiluForward(Tensor x, Tensor y) => _launcher.ForEach(x.Count, new SiluForwardKernel(View(x), View(y)));

    public override void SiluBackward(Tensor x, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(x.Count, new SiluBackwardKernel(View(x), View(dy), To(dx)));
    }

    internal readonly struct SiluForwardKernel(ArrayView<float> x, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i) => y[i] = KernelMath.Silu(x[i]);
    }

    internal readonly struct SiluBackwardKernel(ArrayView<float> x, ArrayView<float> dy, Target dx) : IElementKernel
    {
        public void Run(int i) => dx.Store(i, dy[i] * KernelMath.SiluSlope(x[i]));
    }
}

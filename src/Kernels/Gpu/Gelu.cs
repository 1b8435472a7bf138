using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void GeluForward(Tensor x, Tensor y) => _launcher.ForEach(x.Count, new GeluForwardKernel(View(x), View(y)));

    public override void GeluBackward(Tensor x, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(x.Count, new GeluBackwardKernel(View(x), View(dy), To(dx)));
    }

    /// <summary>½(1 + erf(x/√2)) is the normal distribution function.</summary>
    internal readonly struct GeluForwardKernel(ArrayView<float> x, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i) => y[i] = x[i] * KernelMath.NormalCdf(x[i]);
    }

    internal readonly struct GeluBackwardKernel(ArrayView<float> x, ArrayView<float> dy, Target dx) : IElementKernel
    {
        public void Run(int i) => dx.Store(i, dy[i] * (KernelMath.NormalCdf(x[i]) + (x[i] * KernelMath.NormalDensity(x[i]))));
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void AddForward(Tensor a, Tensor b, Tensor y) => _launcher.ForEach(y.Count, new AddKernel(View(a), View(b), View(y)));

    public override void Accumulate(Tensor x, GradientTarget target)
    {
        if (target.Tensor is not null)
            _launcher.ForEach(x.Count, new AccumulateKernel(View(x), To(target)));
    }

    internal readonly struct AddKernel(ArrayView<float> a, ArrayView<float> b, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i) => y[i] = a[i] + b[i];
    }

    internal readonly struct AccumulateKernel(ArrayView<float> x, Target y) : IElementKernel
    {
        public void Run(int i) => y.Store(i, x[i]);
    }
}

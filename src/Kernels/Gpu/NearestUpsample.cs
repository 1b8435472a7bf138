using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void NearestUpsampleForward(int n, int h, int w, int c, Tensor x, Tensor y)
        => _launcher.ForEach(y.Count, new NearestUpsampleForwardKernel(View(x), h, w, c, View(y)));

    public override void NearestUpsampleBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(dx.Tensor.Count, new NearestUpsampleBackwardKernel(View(dy), h, w, c, To(dx)));
    }

    /// <summary>Thread = one value of y.</summary>
    internal readonly struct NearestUpsampleForwardKernel(ArrayView<float> x, int h, int w, int c, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, 2 * h, 2 * w, c);
            y[i] = x[(((((at.N * h) + (at.H >> 1)) * w) + (at.W >> 1)) * c) + at.C];
        }
    }

    /// <summary>Thread = one value of dx, the sum of four of dy.</summary>
    internal readonly struct NearestUpsampleBackwardKernel(ArrayView<float> dy, int h, int w, int c, Target dx) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, h, w, c);
            int rowWidth = 2 * w * c, first = (2 * ((at.N * h) + at.H) * rowWidth) + (2 * at.W * c) + at.C;
            dx.Store(i, dy[first] + dy[first + c] + (dy[first + rowWidth] + dy[first + rowWidth + c]));
        }
    }
}

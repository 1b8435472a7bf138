using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void SpaceToDepthForward(int n, int h, int w, int c, Tensor x, Tensor y)
        => _launcher.ForEach(y.Count, new SpaceToDepthForwardKernel(View(x), h, w, c, View(y)));

    public override void SpaceToDepthBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(dx.Tensor.Count, new SpaceToDepthBackwardKernel(View(dy), h, w, c, To(dx)));
    }

    /// <summary>Thread = one value of y.</summary>
    internal readonly struct SpaceToDepthForwardKernel(ArrayView<float> x, int h, int w, int c, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, h >> 1, w >> 1, 4 * c);
            int row = (at.N * h) + (2 * at.H) + ((at.C >> 1) & 1), column = (2 * at.W) + (at.C & 1);
            y[i] = x[(((row * w) + column) * c) + (at.C >> 2)];
        }
    }

    /// <summary>Thread = one value of dx.</summary>
    internal readonly struct SpaceToDepthBackwardKernel(ArrayView<float> dy, int h, int w, int c, Target dx) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, h, w, c);
            int row = (at.N * (h >> 1)) + (at.H >> 1), channel = (4 * at.C) + (2 * (at.H & 1)) + (at.W & 1);
            dx.Store(i, dy[(((row * (w >> 1)) + (at.W >> 1)) * 4 * c) + channel]);
        }
    }
}

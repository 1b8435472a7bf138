using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void GlobalAveragePoolForward(in RowShape s, Tensor x, Tensor y)
    {
        using var sums = ColumnSums(s, new ValueTerms(View(x), s.C));
        _launcher.ForEach(y.Count, new GlobalAverageKernel(sums.View, s.C, s.P, View(y)));
    }

    public override void GlobalAveragePoolBackward(in RowShape s, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(dx.Tensor.Count, new GlobalAverageInputKernel(View(dy), s.P * s.C, s.C, s.P, To(dx)));
    }

    /// <summary>A = x.</summary>
    internal readonly struct ValueTerms(ArrayView<float> x, int channels) : IColumnTerms
    {
        public Pair At(int n, int row, int c) => new() { A = x[(row * channels) + c] };
    }

    internal readonly struct GlobalAverageKernel(ArrayView<float> sums, int c, int positions, ArrayView<float> y) : IElementKernel
    {
        public void Run(int i) => y[i] = sums[(i / c * c) + i] / positions;
    }

    internal readonly struct GlobalAverageInputKernel(ArrayView<float> dy, int perSample, int c, int positions, Target dx) : IElementKernel
    {
        public void Run(int i) => dx.Store(i, dy[(i / perSample * c) + (i % c)] / positions);
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void ScaleShiftForward(in RowShape s, Tensor x, Tensor scaleShift, Tensor y)
        => _launcher.ForEach(x.Count, new ScaleShiftForwardKernel(View(x), View(scaleShift), s.P * s.C, s.C, View(y)));

    public override void ScaleShiftBackward(in RowShape s, Tensor x, Tensor scaleShift, Tensor dy, GradientTarget dx,
        GradientTarget dScaleShift)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(x.Count, new ScaleShiftInputKernel(View(scaleShift), View(dy), s.P * s.C, s.C, To(dx)));
        if (dScaleShift.Tensor is null)
            return;
        // The sums' layout [N,2,C] is that of the gradient: Σ dy·x for the scale, Σ dy for the shift.
        using var sums = ColumnSums(s, new ScaleShiftTerms(View(x), View(dy), s.C));
        _launcher.ForEach(2L * s.N * s.C, new AccumulateKernel(sums.View, To(dScaleShift)));
    }

    internal readonly struct ScaleShiftForwardKernel(ArrayView<float> x, ArrayView<float> scaleShift, int perSample, int channels,
        ArrayView<float> y) : IElementKernel
    {
        public void Run(int i)
        {
            int at = (i / perSample * 2 * channels) + (i % channels);
            y[i] = (x[i] * (scaleShift[at] + 1)) + scaleShift[at + channels];
        }
    }

    internal readonly struct ScaleShiftInputKernel(ArrayView<float> scaleShift, ArrayView<float> dy, int perSample, int channels,
        Target dx) : IElementKernel
    {
        public void Run(int i) => dx.Store(i, dy[i] * (scaleShift[(i / perSample * 2 * channels) + (i % channels)] + 1));
    }

    internal readonly struct ScaleShiftTerms(ArrayView<float> x, ArrayView<float> dy, int channels) : IColumnTerms
    {
        public Pair At(int n, int row, int c)
        {
            int at = (row * channels) + c;
            return new Pair { A = dy[at] * x[at], B = dy[at] };
        }
    }
}

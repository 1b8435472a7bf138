using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    /// <summary>Lanes share a contiguous row; lines with a stride get a thread each,
    /// whose neighbours read the neighbouring lines.</summary>
    public override void SoftmaxForward(in AxisShape s, Tensor x, Tensor y)
    {
        if (s.Inner > 1)
        {
            _launcher.ForEach((long)s.Outer * s.Inner, new SoftmaxForwardLineKernel(View(x), View(y), s.Length, s.Inner));
            return;
        }
        var lanes = RowReduction.For(s.Outer, s.Length);
        _launcher.Launch(SoftmaxForwardRow, new SoftmaxForwardArgs(lanes, s.Length, View(x), View(y)), new Index3D(lanes.Groups, 1, 1));
    }

    public override void SoftmaxBackward(in AxisShape s, Tensor y, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        if (s.Inner > 1)
        {
            _launcher.ForEach((long)s.Outer * s.Inner, new SoftmaxBackwardLineKernel(View(y), View(dy), To(dx), s.Length, s.Inner));
            return;
        }
        var lanes = RowReduction.For(s.Outer, s.Length);
        _launcher.Launch(SoftmaxBackwardRow, new SoftmaxBackwardArgs(lanes, s.Length, View(y), View(dy), To(dx)),
            new Index3D(lanes.Groups, 1, 1));
    }

    internal readonly record struct SoftmaxForwardArgs(RowReduction Lanes, int Length, ArrayView<float> X, ArrayView<float> Y);

    internal readonly record struct SoftmaxBackwardArgs(RowReduction Lanes, int Length, ArrayView<float> Y, ArrayView<float> Dy, Target Dx);

    /// <summary>Row of lanes = one row. Three passes over x: maximum, sum, output.</summary>
    internal static void SoftmaxForwardRow(SoftmaxForwardArgs a)
    {
        var shared = RowReduction.Shared();
        int at = a.Lanes.Row * a.Length, end = a.Lanes.End(a.Length);
        float max = float.NegativeInfinity, sum = 0;
        for (int i = a.Lanes.Lane; i < end; i += a.Lanes.Lanes)
            max = a.X[at + i] > max ? a.X[at + i] : max;
        max = a.Lanes.Max(shared, max);
        for (int i = a.Lanes.Lane; i < end; i += a.Lanes.Lanes)
            sum += MathF.Exp(a.X[at + i] - max);
        sum = a.Lanes.Sum(shared, sum);
        for (int i = a.Lanes.Lane; i < end; i += a.Lanes.Lanes)
            a.Y[at + i] = MathF.Exp(a.X[at + i] - max) / sum;
    }

    /// <summary>Row of lanes = one row: dx = y · (dy − mean), mean = Σ y · dy.</summary>
    /// <remarks>The mean is taken twice, the second time of what the first left over: where one y is nearly 1, its dy − mean is as small
    /// as the rounding errors of y, and the second mean removes those.</remarks>
    internal static void SoftmaxBackwardRow(SoftmaxBackwardArgs a)
    {
        var shared = RowReduction.Shared();
        int at = a.Lanes.Row * a.Length, end = a.Lanes.End(a.Length);
        float mean = 0, rest = 0;
        for (int i = a.Lanes.Lane; i < end; i += a.Lanes.Lanes)
            mean += a.Y[at + i] * a.Dy[at + i];
        mean = a.Lanes.Sum(shared, mean);
        for (int i = a.Lanes.Lane; i < end; i += a.Lanes.Lanes)
            rest += a.Y[at + i] * (a.Dy[at + i] - mean);
        rest = a.Lanes.Sum(shared, rest);
        for (int i = a.Lanes.Lane; i < end; i += a.Lanes.Lanes)
            a.Dx.Store(at + i, a.Y[at + i] * (a.Dy[at + i] - mean - rest));
    }

    internal readonly struct SoftmaxForwardLineKernel(ArrayView<float> x, ArrayView<float> y, int length, int inner) : IElementKernel
    {
        public void Run(int line)
        {
            int outer = line / inner, at = (outer * (length - 1) * inner) + line;
            float max = float.NegativeInfinity, sum = 0;
            for (int i = 0; i < length; i++)
                max = x[at + (i * inner)] > max ? x[at + (i * inner)] : max;
            for (int i = 0; i < length; i++)
                sum += MathF.Exp(x[at + (i * inner)] - max);
            for (int i = 0; i < length; i++)
                y[at + (i * inner)] = MathF.Exp(x[at + (i * inner)] - max) / sum;
        }
    }

    internal readonly struct SoftmaxBackwardLineKernel(ArrayView<float> y, ArrayView<float> dy, Target dx, int length, int inner)
        : IElementKernel
    {
        public void Run(int line)
        {
            int outer = line / inner, at = (outer * (length - 1) * inner) + line;
            float mean = 0, rest = 0;
            for (int i = 0; i < length; i++)
                mean += y[at + (i * inner)] * dy[at + (i * inner)];
            for (int i = 0; i < length; i++)
                rest += y[at + (i * inner)] * (dy[at + (i * inner)] - mean);
            for (int i = 0; i < length; i++)
                dx.Store(at + (i * inner), y[at + (i * inner)] * (dy[at + (i * inner)] - mean - rest));
        }
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void AveragePool2DForward(in PoolShape s, Tensor x, in ChannelSlice y)
        => _launcher.ForEach((long)s.N * s.OutH * s.OutW * s.C,
            new AveragePoolForwardKernel(View(x), AverageWindow.Of(s), s.C, new PooledSlice(y)));

    public override void AveragePool2DBackward(in PoolShape s, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
            _launcher.ForEach(dx.Tensor.Count, new AveragePoolBackwardKernel(View(dy), AverageWindow.Of(s), s.C, To(dx)));
    }

    /// <summary>Both axes, and what a window's sum is divided by.</summary>
    internal readonly struct AverageWindow(PoolAxis rows, PoolAxis columns, int wholeWindow)
    {
        public PoolAxis Rows => rows;

        public PoolAxis Columns => columns;

        public static AverageWindow Of(in PoolShape s)
            => new(PoolAxis.Rows(s), PoolAxis.Columns(s), s.CountPadding ? s.Window * s.Window : 0);

        public float Divisor(int h, int w)
            => wholeWindow != 0 ? wholeWindow : (rows.End(h) - rows.First(h)) * (columns.End(w) - columns.First(w));
    }

    /// <summary>Thread = one value of the slice.</summary>
    internal readonly struct AveragePoolForwardKernel(ArrayView<float> x, AverageWindow window, int c, PooledSlice y) : IElementKernel
    {
        public void Run(int i)
        {
            PoolAxis rows = window.Rows, columns = window.Columns;
            var at = new Pixel(i, rows.Outputs, columns.Outputs, c);
            float sum = 0;
            for (int h = rows.First(at.H); h < rows.End(at.H); h++)
            {
                for (int w = columns.First(at.W); w < columns.End(at.W); w++)
                    sum += x[((((at.N * rows.Inputs) + h) * columns.Inputs) + w) * c + at.C];
            }
            y.Store((i - at.C) / c, at.C, sum / window.Divisor(at.H, at.W));
        }
    }

    /// <summary>Thread = one value of dx, which gathers from the windows that cover it.</summary>
    internal readonly struct AveragePoolBackwardKernel(ArrayView<float> dy, AverageWindow window, int c, Target dx) : IElementKernel
    {
        public void Run(int i)
        {
            PoolAxis rows = window.Rows, columns = window.Columns;
            var at = new Pixel(i, rows.Inputs, columns.Inputs, c);
            float sum = 0;
            for (int h = rows.FirstOutput(at.H); h < rows.EndOutput(at.H); h++)
            {
                for (int w = columns.FirstOutput(at.W); w < columns.EndOutput(at.W); w++)
                    sum += dy[((((at.N * rows.Outputs) + h) * columns.Outputs) + w) * c + at.C] / window.Divisor(h, w);
            }
            dx.Store(i, sum);
        }
    }
}

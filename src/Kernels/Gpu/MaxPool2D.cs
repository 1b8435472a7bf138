using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void MaxPool2DForward(in PoolShape s, Tensor x, in ChannelSlice y)
        => _launcher.ForEach((long)s.N * s.OutH * s.OutW * s.C,
            new MaxPoolForwardKernel(new MaxWindow(View(x), PoolAxis.Rows(s), PoolAxis.Columns(s), s.C), new PooledSlice(y)));

    public override void MaxPool2DBackward(in PoolShape s, Tensor x, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is not null)
        {
            var window = new MaxWindow(View(x), PoolAxis.Rows(s), PoolAxis.Columns(s), s.C);
            _launcher.ForEach(x.Count, new MaxPoolBackwardKernel(window, View(dy), To(dx)));
        }
    }

    /// <summary>Finds the maximum of a window.</summary>
    internal readonly struct MaxWindow(ArrayView<float> x, PoolAxis rows, PoolAxis columns, int c)
    {
        public ArrayView<float> X => x;

        public PoolAxis Rows => rows;

        public PoolAxis Columns => columns;

        public int C => c;

        /// <summary>The index in x of the window's first maximum in reading order; a NaN is larger than all but an earlier NaN.</summary>
        public int Find(int n, int outRow, int outColumn, int channel)
        {
            int best = Index(n, rows.First(outRow), columns.First(outColumn), channel);
            for (int h = rows.First(outRow); h < rows.End(outRow); h++)
            {
                for (int w = columns.First(outColumn); w < columns.End(outColumn); w++)
                {
                    int at = Index(n, h, w, channel);
                    if (x[at] > x[best] || (float.IsNaN(x[at]) && !float.IsNaN(x[best])))
                        best = at;
                }
            }
            return best;
        }

        private int Index(int n, int h, int w, int channel) => ((((n * rows.Inputs) + h) * columns.Inputs) + w) * c + channel;
    }

    /// <summary>Where a pooling window's value goes: a slice of the channels of a pixel.</summary>
    internal readonly struct PooledSlice(in ChannelSlice slice)
    {
        private readonly ArrayView<float> _values = View(slice.Tensor);
        private readonly int _stride = slice.Stride;
        private readonly int _first = slice.First;

        public void Store(int pixel, int channel, float value) => _values[(pixel * _stride) + _first + channel] = value;
    }

    /// <summary>Thread = one value of the slice.</summary>
    internal readonly struct MaxPoolForwardKernel(MaxWindow window, PooledSlice y) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, window.Rows.Outputs, window.Columns.Outputs, window.C);
            y.Store((i - at.C) / window.C, at.C, window.X[window.Find(at.N, at.H, at.W, at.C)]);
        }
    }

    /// <summary>Thread = one value of dx: it asks every window that covers it for its maximum,
    /// so that no two threads add to one value.</summary>
    internal readonly struct MaxPoolBackwardKernel(MaxWindow window, ArrayView<float> dy, Target dx) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, window.Rows.Inputs, window.Columns.Inputs, window.C);
            float sum = 0;
            for (int h = window.Rows.FirstOutput(at.H); h < window.Rows.EndOutput(at.H); h++)
            {
                for (int w = window.Columns.FirstOutput(at.W); w < window.Columns.EndOutput(at.W); w++)
                {
                    if (window.Find(at.N, h, w, at.C) == i)
                        sum += dy[((((at.N * window.Rows.Outputs) + h) * window.Columns.Outputs) + w) * window.C + at.C];
                }
            }
            dx.Store(i, sum);
        }
    }
}

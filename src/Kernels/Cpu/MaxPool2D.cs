using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void MaxPool2DForward(in PoolShape s, Tensor x, in ChannelSlice y)
    {
        var shape = s;
        float* px = Pointer(x), py = Pointer(y);
        long stride = y.Stride;
        new RowBlocks(new RowShape(s.N, s.OutH, s.OutW * s.C)).Run((block, sample, first, end) =>
        {
            for (int row = first; row < end; row++)
                for (int column = 0; column < shape.OutW; column++)
                {
                    var window = new PoolWindow(shape, row - (sample * shape.OutH), column);
                    float* target = py + ((((long)row * shape.OutW) + column) * stride);
                    for (int c = 0; c < shape.C; c += Simd.Width)
                        Simd.Store(Largest(shape, window, px + (sample * window.Image) + c, shape.C - c, out _), target + c, shape.C - c);
                }
        });
    }

    public override void MaxPool2DBackward(in PoolShape s, Tensor x, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        var shape = s;
        float* px = Pointer(x), pdy = Pointer(dy), pdx = Pointer(dx.Tensor);
        bool accumulate = dx.Accumulate;
        // Windows overlap, so an image is one work item.
        ForkJoinPool.Run(s.N, sample =>
        {
            long image = (long)shape.H * shape.W * shape.C;
            if (!accumulate)
                new Span<float>(pdx + (sample * image), (int)image).Clear();
            for (int row = 0; row < shape.OutH; row++)
                for (int column = 0; column < shape.OutW; column++)
                {
                    var window = new PoolWindow(shape, row, column);
                    float* upstream = pdy + (((((long)sample * shape.OutH) + row) * shape.OutW) + column) * shape.C;
                    for (int c = 0; c < shape.C; c += Simd.Width)
                        Scatter(shape, window, px + (sample * image) + c, upstream + c, pdx + (sample * image) + c, shape.C - c);
                }
        }, parallel: x.Count > 1 << 15);
    }

    /// <summary>The largest values of a window and the offsets of the first pixels that hold them; NaN wins.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Largest(in PoolShape s, in PoolWindow window, float* x, int left, out Vector512<int> at)
    {
        var best = Simd.Splat(float.NegativeInfinity);
        at = Vector512.Create(((window.Top * s.W) + window.Left) * s.C);
        for (int h = window.Top; h < window.Bottom; h++)
            for (int w = window.Left; w < window.Right; w++)
            {
                int offset = ((h * s.W) + w) * s.C;
                var v = Simd.Load(x + offset, left);
                // Not less or equal: larger, or a NaN on either side; a NaN that is there already stays.
                var better = ~Vector512.LessThanOrEqual(v, best) & Vector512.Equals(best, best);
                best = Vector512.ConditionalSelect(better, v, best);
                at = Vector512.ConditionalSelect(better.AsInt32(), Vector512.Create(offset), at);
            }
        return best;
    }

    private static void Scatter(in PoolShape s, in PoolWindow window, float* x, float* dy, float* dx, int left)
    {
        Largest(s, window, x, left, out var at);
        var upstream = Simd.Load(dy, left);
        for (int h = window.Top; h < window.Bottom; h++)
            for (int w = window.Left; w < window.Right; w++)
            {
                int offset = ((h * s.W) + w) * s.C;
                var here = Vector512.Equals(at, Vector512.Create(offset)).AsSingle();
                Simd.Store(Vector512.ConditionalSelect(here, upstream, Lanes.Zero), dx + offset, left, accumulate: true);
            }
    }

    /// <summary>The part of a pooling window that lies inside the image.</summary>
    private readonly struct PoolWindow
    {
        public PoolWindow(in PoolShape s, int row, int column)
        {
            int top = (row * s.Stride) - s.Pad, left = (column * s.Stride) - s.Pad;
            Top = Math.Max(top, 0);
            Left = Math.Max(left, 0);
            Bottom = Math.Min(top + s.Window, s.H);
            Right = Math.Min(left + s.Window, s.W);
            Image = (long)s.H * s.W * s.C;
            Divisor = s.CountPadding ? s.Window * s.Window : (Bottom - Top) * (Right - Left);
        }

        public int Top { get; }

        public int Left { get; }

        public int Bottom { get; }

        public int Right { get; }

        /// <summary>Values of an image.</summary>
        public long Image { get; }

        /// <summary>What an average divides by.</summary>
        public int Divisor { get; }
    }
}

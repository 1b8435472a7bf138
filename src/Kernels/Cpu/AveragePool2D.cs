namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void AveragePool2DForward(in PoolShape s, Tensor x, in ChannelSlice y)
    {
        var shape = s;
        float* px = Pointer(x), py = Pointer(y);
        long stride = y.Stride;
        new RowBlocks(new RowShape(s.N, s.OutH, s.OutW * s.C)).Run((_, sample, first, end) =>
        {
            for (int row = first; row < end; row++)
                for (int column = 0; column < shape.OutW; column++)
                {
                    var window = new PoolWindow(shape, row - (sample * shape.OutH), column);
                    float* image = px + (sample * window.Image), target = py + ((((long)row * shape.OutW) + column) * stride);
                    for (int c = 0; c < shape.C; c += Simd.Width)
                    {
                        var sum = Lanes.Zero;
                        for (int h = window.Top; h < window.Bottom; h++)
                            for (int w = window.Left; w < window.Right; w++)
                                sum += Simd.Load(image + ((((long)h * shape.W) + w) * shape.C) + c, shape.C - c);
                        Simd.Store(sum / Simd.Splat(window.Divisor), target + c, shape.C - c);
                    }
                }
        });
    }

    public override void AveragePool2DBackward(in PoolShape s, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        var shape = s;
        float* pdy = Pointer(dy), pdx = Pointer(dx.Tensor);
        bool accumulate = dx.Accumulate;
        new RowBlocks(new RowShape(s.N, s.H, s.W * s.C)).Run((_, sample, first, end) =>
        {
            float* upstream = pdy + ((long)sample * shape.OutH * shape.OutW * shape.C);
            for (int row = first; row < end; row++)
                for (int w = 0; w < shape.W; w++)
                {
                    // The windows that cover this pixel.
                    int h = row - (sample * shape.H);
                    var (top, bottom) = Covering(h, shape, shape.OutH);
                    var (left, right) = Covering(w, shape, shape.OutW);
                    float* target = pdx + ((((long)row * shape.W) + w) * shape.C);
                    for (int c = 0; c < shape.C; c += Simd.Width)
                    {
                        var sum = Lanes.Zero;
                        for (int outRow = top; outRow < bottom; outRow++)
                            for (int column = left; column < right; column++)
                                sum += Simd.Load(upstream + ((((long)outRow * shape.OutW) + column) * shape.C) + c, shape.C - c)
                                    / Simd.Splat(new PoolWindow(shape, outRow, column).Divisor);
                        Simd.Store(sum, target + c, shape.C - c, accumulate);
                    }
                }
        });
    }

    /// <summary>First window that covers a position of an axis, and the one past the last.</summary>
    private static (int First, int End) Covering(int position, in PoolShape s, int outputs)
    {
        int padded = position + s.Pad;
        int first = padded < s.Window ? 0 : ((padded - s.Window) / s.Stride) + 1;
        return (first, Math.Min((padded / s.Stride) + 1, outputs));
    }
}

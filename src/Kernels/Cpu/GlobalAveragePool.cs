namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void GlobalAveragePoolForward(in RowShape s, Tensor x, Tensor y)
    {
        var shape = s;
        float* px = Pointer(x), py = Pointer(y);
        ForkJoinPool.Run(s.N, sample =>
        {
            for (int c = 0; c < shape.C; c += Simd.Width)
            {
                int left = shape.C - c;
                float* column = px + ((long)sample * shape.P * shape.C) + c;
                var sum = Lanes.Zero;
                for (int start = 0; start < shape.P; start += Simd.ShortSum)
                {
                    var part = Lanes.Zero;
                    for (long p = start; p < Math.Min(start + Simd.ShortSum, shape.P); p++)
                        part += Simd.Load(column + (p * shape.C), left);
                    sum += part;
                }
                Simd.Store(sum / Simd.Splat(shape.P), py + ((long)sample * shape.C) + c, left);
            }
        }, parallel: x.Count > 1 << 15);
    }

    public override void GlobalAveragePoolBackward(in RowShape s, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        int channels = s.C, positions = s.P;
        float* pdy = Pointer(dy), pdx = Pointer(dx.Tensor);
        bool accumulate = dx.Accumulate;
        new RowBlocks(s).Run((_, sample, first, end) =>
        {
            float* upstream = pdy + ((long)sample * channels);
            for (long row = first; row < end; row++)
                for (int c = 0; c < channels; c += Simd.Width)
                    Simd.Store(Simd.Load(upstream + c, channels - c) / Simd.Splat(positions), pdx + (row * channels) + c, channels - c,
                        accumulate);
        });
    }
}

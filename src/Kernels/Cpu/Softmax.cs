using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void SoftmaxForward(in AxisShape s, Tensor x, Tensor y)
    {
        var shape = s;
        float* px = Pointer(x), py = Pointer(y);
        RunLines(s, at =>
        {
            if (shape.Inner == 1)
                SoftmaxRow(px + at.First, py + at.First, shape.Length);
            else
                SoftmaxColumns(px + at.First, py + at.First, shape, at.Left);
        });
    }

    public override void SoftmaxBackward(in AxisShape s, Tensor y, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        var shape = s;
        float* py = Pointer(y), pdy = Pointer(dy), pdx = Pointer(dx.Tensor);
        RunLines(s, at =>
        {
            if (shape.Inner == 1)
                SoftmaxRowGradient(py + at.First, pdy + at.First, pdx + at.First, shape.Length, dx.Accumulate);
            else
                SoftmaxColumnsGradient(py + at.First, pdy + at.First, pdx + at.First, shape, at.Left, dx.Accumulate);
        });
    }

    /// <summary>Runs a body for every line of the axis, or for every sixteen neighbouring lines where lines are strided.</summary>
    private static void RunLines(AxisShape s, Action<(long First, int Left)> body)
    {
        int chunks = (s.Inner + Simd.Width - 1) / Simd.Width;
        long grain = Math.Max(1, (1 << 14) / (s.Length * Math.Min(s.Inner, Simd.Width)));
        ForkJoinPool.RunRanges((long)s.Outer * chunks, grain, (first, end) =>
        {
            for (long i = first; i < end; i++)
            {
                int inner = (int)(i % chunks) * Simd.Width;
                body(((i / chunks * s.Length * s.Inner) + inner, s.Inner - inner));
            }
        });
    }

    private static void SoftmaxRow(float* x, float* y, int length)
    {
        var largest = Simd.Splat(float.NegativeInfinity);
        for (int i = 0; i < length; i += Simd.Width)
            largest = Vector512.MaxNative(largest, Simd.Keep(Simd.Load(x + i, length - i), length - i, float.NegativeInfinity));
        largest = Simd.Splat(Simd.Largest(largest));
        var sum = Lanes.Zero;
        for (int i = 0; i < length; i += Simd.Width)
        {
            var e = Simd.Keep(Simd.Exp(Simd.Load(x + i, length - i) - largest), length - i, 0);
            sum += e;
            Simd.Store(e, y + i, length - i);
        }
        var total = Simd.Splat(Simd.Sum(sum));
        for (int i = 0; i < length; i += Simd.Width)
            Simd.Store(Simd.Load(y + i, length - i) / total, y + i, length - i);
    }

    /// <summary>Sixteen lines side by side: values of a line are Inner apart.</summary>
    private static void SoftmaxColumns(float* x, float* y, in AxisShape s, int left)
    {
        var largest = Simd.Splat(float.NegativeInfinity);
        for (long i = 0; i < s.Length; i++)
            largest = Vector512.MaxNative(largest, Simd.Load(x + (i * s.Inner), left));
        var sum = Lanes.Zero;
        for (long i = 0; i < s.Length; i++)
        {
            var e = Simd.Exp(Simd.Load(x + (i * s.Inner), left) - largest);
            sum += e;
            Simd.Store(e, y + (i * s.Inner), left);
        }
        for (long i = 0; i < s.Length; i++)
            Simd.Store(Simd.Load(y + (i * s.Inner), left) / sum, y + (i * s.Inner), left);
    }

    // dx = y · (dy − Σ y dy). Where one y is nearly 1 the difference cancels, so the mean of what is left is taken off once more.
    private static void SoftmaxRowGradient(float* y, float* dy, float* dx, int length, bool accumulate)
    {
        var mean = Lanes.Zero;
        var rest = Mean();
        mean = rest;
        rest = Mean();
        for (int i = 0; i < length; i += Simd.Width)
            Simd.Store(Simd.Load(y + i, length - i) * (Simd.Load(dy + i, length - i) - mean - rest), dx + i, length - i, accumulate);

        Lanes Mean()
        {
            var sum = Lanes.Zero;
            for (int i = 0; i < length; i += Simd.Width)
                sum = Simd.MultiplyAdd(Simd.Load(y + i, length - i), Simd.Load(dy + i, length - i) - mean, sum);
            return Simd.Splat(Simd.Sum(sum));
        }
    }

    private static void SoftmaxColumnsGradient(float* y, float* dy, float* dx, in AxisShape s, int left, bool accumulate)
    {
        int length = s.Length;
        long inner = s.Inner;
        var mean = Lanes.Zero;
        var rest = Mean();
        mean = rest;
        rest = Mean();
        for (long i = 0; i < length; i++)
        {
            var d = Simd.Load(y + (i * inner), left) * (Simd.Load(dy + (i * inner), left) - mean - rest);
            Simd.Store(d, dx + (i * inner), left, accumulate);
        }

        Lanes Mean()
        {
            var sum = Lanes.Zero;
            for (long i = 0; i < length; i++)
                sum = Simd.MultiplyAdd(Simd.Load(y + (i * inner), left), Simd.Load(dy + (i * inner), left) - mean, sum);
            return sum;
        }
    }
}

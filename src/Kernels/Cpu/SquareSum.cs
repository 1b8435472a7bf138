using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>Sums of squares: short runs in float, the runs in double, in an order that depends on the length alone.</summary>
internal static unsafe class SquareSum
{
    /// <summary>Values that are worth a work item.</summary>
    public const int Block = 1 << 16;

    /// <summary>Values of a run: each of its four times sixteen lanes adds sixteen squares in float.</summary>
    private const int Run = 1024;

    /// <summary>Σ x², or Σ (x − y)² where y is given.</summary>
    /// <param name="x">Values.</param>
    /// <param name="y">Values, or null.</param>
    /// <param name="count">Values.</param>
    public static double Of(float* x, float* y, long count)
    {
        double sum = 0;
        for (long start = 0; start < count; start += Run)
            sum += OfRun(x + start, y is null ? null : y + start, (int)Math.Min(Run, count - start));
        return sum;
    }

    private static float OfRun(float* x, float* y, int count)
    {
        Lanes s0 = Lanes.Zero, s1 = Lanes.Zero, s2 = Lanes.Zero, s3 = Lanes.Zero;
        int i = 0;
        for (; i + (4 * Simd.Width) <= count; i += 4 * Simd.Width)
        {
            s0 = Add(s0, x, y, i, Simd.Width);
            s1 = Add(s1, x, y, i + Simd.Width, Simd.Width);
            s2 = Add(s2, x, y, i + (2 * Simd.Width), Simd.Width);
            s3 = Add(s3, x, y, i + (3 * Simd.Width), Simd.Width);
        }
        for (; i < count; i += Simd.Width)
            s0 = Add(s0, x, y, i, count - i);
        return Simd.Sum(s0 + s1 + (s2 + s3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Add(Lanes sum, float* x, float* y, int i, int left)
    {
        var v = Simd.Load(x + i, left);
        if (y is not null)
            v -= Simd.Load(y + i, left);
        return Simd.MultiplyAdd(v, v, sum);
    }
}

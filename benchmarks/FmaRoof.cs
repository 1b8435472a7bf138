using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Measures what the multiply-add units deliver when nothing but registers is touched: the roof of every matrix product.</summary>
internal static class FmaRoof
{
    private const int Chains = 16;

    /// <summary>Runs independent multiply-add chains on the given number of threads.</summary>
    /// <param name="threads">Threads of the pool that take part.</param>
    /// <param name="milliseconds">Roughly how long to run.</param>
    /// <returns>GFLOP/s of all threads together.</returns>
    public static double Measure(int threads, double milliseconds = 4)
    {
        int before = ForkJoinPool.Threads;
        ForkJoinPool.Threads = threads;
        try
        {
            int steps = (int)(milliseconds * 1e6 / (Chains / 2 / 2.8));
            long start = Stopwatch.GetTimestamp();
            ForkJoinPool.Run(threads, _ => Spin(steps));
            return 2.0 * Chains * Width * steps * threads / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
        }
        finally
        {
            ForkJoinPool.Threads = before;
        }
    }

    private static int Width => MicroKernel.Widest.Lanes;

    private static float Spin(int steps) => Width switch
    {
        16 => Spin<Lanes512, Vector512<float>>(steps),
        8 => Spin<Lanes256, Vector256<float>>(steps),
        _ => Spin<Lanes128, Vector128<float>>(steps),
    };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe float Spin<L, V>(int steps)
        where L : struct, ILanes<V>
        where V : struct
    {
        V x = L.Broadcast(0.999f), y = L.Broadcast(0.001f);
        V s0 = y, s1 = y, s2 = y, s3 = y, s4 = y, s5 = y, s6 = y, s7 = y;
        V t0 = y, t1 = y, t2 = y, t3 = y, t4 = y, t5 = y, t6 = y, t7 = y;
        for (int i = 0; i < steps; i++)
        {
            s0 = L.MultiplyAdd(s0, x, y);
            s1 = L.MultiplyAdd(s1, x, y);
            s2 = L.MultiplyAdd(s2, x, y);
            s3 = L.MultiplyAdd(s3, x, y);
            s4 = L.MultiplyAdd(s4, x, y);
            s5 = L.MultiplyAdd(s5, x, y);
            s6 = L.MultiplyAdd(s6, x, y);
            s7 = L.MultiplyAdd(s7, x, y);
            t0 = L.MultiplyAdd(t0, x, y);
            t1 = L.MultiplyAdd(t1, x, y);
            t2 = L.MultiplyAdd(t2, x, y);
            t3 = L.MultiplyAdd(t3, x, y);
            t4 = L.MultiplyAdd(t4, x, y);
            t5 = L.MultiplyAdd(t5, x, y);
            t6 = L.MultiplyAdd(t6, x, y);
            t7 = L.MultiplyAdd(t7, x, y);
        }

        V sum = L.Add(L.Add(L.Add(L.Add(s0, s1), L.Add(s2, s3)), L.Add(L.Add(s4, s5), L.Add(s6, s7))),
            L.Add(L.Add(L.Add(t0, t1), L.Add(t2, t3)), L.Add(L.Add(t4, t5), L.Add(t6, t7))));
        float* values = stackalloc float[MicroKernel.MaxPanelWidth];
        L.Store(sum, values);
        return values[0];
    }
}

using System.Diagnostics;
using System.Numerics;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Measures how fast memory is copied: the other roof of a matrix product, where it does little with each value.</summary>
internal static unsafe class StreamRoof
{
    private const int Repeats = 8;

    /// <summary>Copies one half of a stretch of memory to the other on some threads; the best of a few times counts.</summary>
    /// <param name="threads">Threads of the pool that take part.</param>
    /// <param name="bytes">Length of the stretch: what fits a cache is copied faster.</param>
    /// <returns>GB/s, what is read and what is written counted once each.</returns>
    public static double Measure(int threads, double bytes)
    {
        int before = ForkJoinPool.Threads;
        ForkJoinPool.Threads = threads;
        try
        {
            using var buffer = new AlignedBuffer();
            long part = Math.Max(1, (long)(bytes / sizeof(float) / 2 / threads)), half = part * threads;
            float* memory = buffer.Take<float>(2 * half);
            new Span<float>(memory, checked((int)(2 * half))).Clear();
            double best = 0;
            for (int i = 0; i < Repeats; i++)
            {
                long start = Stopwatch.GetTimestamp();
                ForkJoinPool.Run(threads, thread => Copy(memory + (thread * part), memory + half + (thread * part), part));
                best = Math.Max(best, 2 * half * sizeof(float) / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9);
            }

            return best;
        }
        finally
        {
            ForkJoinPool.Threads = before;
        }
    }

    private static void Copy(float* source, float* target, long count)
    {
        for (long i = 0; i + Vector<float>.Count <= count; i += Vector<float>.Count)
            Vector.Load(source + i).Store(target + i);
    }
}

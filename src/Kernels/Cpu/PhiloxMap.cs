using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>A function of random words and values, applied element by element.</summary>
internal interface IWordMap
{
    /// <summary>The function on sixteen elements; the value of an op without input is zero.</summary>
    Lanes Apply(Vector512<uint> words, Lanes values);
}

/// <summary>Applies a function of random words: value i of sample n meets word i of that sample, so a batch can be cut anywhere.</summary>
internal static unsafe class PhiloxMap
{
    /// <summary>Counters computed together: their words, four each, fill two vectors.</summary>
    private const int Counters = 8;

    /// <summary>Values of a work item, a multiple of the words of the counters computed together.</summary>
    private const long Grain = 1 << 13;

    /// <summary>y = map(word, x), or y += map(word, x).</summary>
    /// <param name="map">The function.</param>
    /// <param name="key">Names the words.</param>
    /// <param name="x">[N,…], or null for zeros.</param>
    /// <param name="y">[N,…].</param>
    public static void Run<TMap>(TMap map, RandomKey key, Tensor? x, GradientTarget y)
        where TMap : struct, IWordMap
    {
        if (y.Tensor is null)
            return;
        int n = y.Tensor.Shape[0];
        long p = y.Tensor.Count / n;
        int blocks = (int)((p + Grain - 1) / Grain);
        float* px = CpuBackend.PointerOrNull(x), py = CpuBackend.Pointer(y.Tensor);
        bool accumulate = y.Accumulate;
        ForkJoinPool.Run(n * blocks, item =>
        {
            int sample = item / blocks;
            long first = item % blocks * Grain, at = sample * p;
            Range(map, key, (uint)sample, first, Math.Min(first + Grain, p), px is null ? null : px + at, py + at, accumulate);
        }, parallel: n * p > Grain);
    }

    private static void Range<TMap>(TMap map, in RandomKey key, uint sample, long first, long end, float* x, float* y, bool accumulate)
        where TMap : struct, IWordMap
    {
        uint* words = stackalloc uint[4 * Counters];
        for (long i = first; i < end; i += 4 * Counters)
        {
            Words(key, sample, (uint)(i >> 2), (ulong*)words);
            for (int k = 0; k < 4 * Counters && i + k < end; k += Simd.Width)
            {
                long left = end - i - k;
                var v = map.Apply(Vector512.Load(words + k), x is null ? Lanes.Zero : Simd.Load(x + i + k, left));
                Simd.Store(v, y + i + k, left, accumulate);
            }
        }
    }

    /// <summary><see cref="Philox.Block(in RandomKey, uint, uint)"/> of eight neighbouring counters.</summary>
    /// <remarks>A word takes the lower half of a lane, so that a product has room.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Words(in RandomKey key, uint sample, uint block, ulong* words)
    {
        var low = Vector512.Create((ulong)uint.MaxValue);
        var a = Vector512<ulong>.Indices + Vector512.Create((ulong)block);
        var b = Vector512.Create((ulong)(key.FirstSample + sample));
        var c = Vector512.Create((ulong)key.Draw);
        var d = Vector512.Create((ulong)key.Stream);
        uint keyA = (uint)key.Seed, keyB = (uint)(key.Seed >> 32);
        for (int round = 0; round < Philox.Rounds; round++)
        {
            var productA = a * Vector512.Create((ulong)Philox.MultiplierA);
            var productB = c * Vector512.Create((ulong)Philox.MultiplierB);
            a = Vector512.ShiftRightLogical(productB, 32) ^ b ^ Vector512.Create((ulong)keyA);
            c = Vector512.ShiftRightLogical(productA, 32) ^ d ^ Vector512.Create((ulong)keyB);
            b = productB & low;
            d = productA & low;
            keyA += Philox.WeylA;
            keyB += Philox.WeylB;
        }
        ulong* pairs = stackalloc ulong[2 * Counters];
        (a | Vector512.ShiftLeft(b, 32)).Store(pairs);
        (c | Vector512.ShiftLeft(d, 32)).Store(pairs + Counters);
        for (int counter = 0; counter < Counters; counter++)
        {
            words[2 * counter] = pairs[counter];
            words[(2 * counter) + 1] = pairs[Counters + counter];
        }
    }
}

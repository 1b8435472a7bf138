namespace Diffusion.Gpu.Kernels;

/// <summary>A function of a random word and a value.</summary>
internal interface IWordMap
{
    float Apply(uint word, float value);
}

/// <summary>Applies a function of random words: value i of sample n meets word i of that sample, so a batch can be cut anywhere.</summary>
internal static unsafe class PhiloxMap
{
    /// <summary>Values of a work item, a multiple of the four words of a counter.</summary>
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
        uint* words = stackalloc uint[4];
        for (long i = first; i < end; i += 4)
        {
            var block = Philox.Block(key, sample, (uint)(i >> 2));
            words[0] = block.A;
            words[1] = block.B;
            words[2] = block.C;
            words[3] = block.D;
            int count = (int)Math.Min(4, end - i);
            for (int k = 0; k < count; k++)
            {
                float v = map.Apply(words[k], x is null ? 0 : x[i + k]);
                y[i + k] = accumulate ? y[i + k] + v : v;
            }
        }
    }
}

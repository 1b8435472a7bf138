using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>A function of up to three values, applied element by element.</summary>
internal interface IElementMap
{
    /// <summary>The function on sixteen elements; an input that the op does not have is zero.</summary>
    Lanes Apply(Lanes a, Lanes b, Lanes c);
}

/// <summary>Applies a function element by element on all cores.</summary>
internal static unsafe class ElementMap
{
    /// <summary>Elements of a work item: some ten microseconds.</summary>
    private const long Grain = 1 << 15;

    /// <summary>y = map(a, b, c), or y += map(a, b, c).</summary>
    /// <param name="map">The function.</param>
    /// <param name="a">First input.</param>
    /// <param name="b">Second input, or null.</param>
    /// <param name="c">Third input, or null.</param>
    /// <param name="y">Where to; nothing happens when it is not wanted.</param>
    public static void Run<TMap>(TMap map, Tensor a, Tensor? b, Tensor? c, GradientTarget y)
        where TMap : struct, IElementMap
    {
        if (y.Tensor is null)
            return;
        float* pa = CpuBackend.Pointer(a), pb = CpuBackend.PointerOrNull(b), pc = CpuBackend.PointerOrNull(c);
        float* py = CpuBackend.Pointer(y.Tensor);
        bool accumulate = y.Accumulate;
        ForkJoinPool.RunRanges(a.Count, Grain, (first, end) => Range(map, pa + first, pb is null ? null : pb + first,
            pc is null ? null : pc + first, py + first, end - first, accumulate));
    }

    /// <summary>As <see cref="Run"/>, with a function for each sample.</summary>
    /// <param name="mapOfSample">Makes the function of a sample.</param>
    /// <param name="n">Samples.</param>
    public static void RunPerSample<TMap>(Func<int, TMap> mapOfSample, int n, Tensor a, Tensor? b, Tensor? c, GradientTarget y)
        where TMap : struct, IElementMap
    {
        if (y.Tensor is null)
            return;
        float* pa = CpuBackend.Pointer(a), pb = CpuBackend.PointerOrNull(b), pc = CpuBackend.PointerOrNull(c);
        float* py = CpuBackend.Pointer(y.Tensor);
        bool accumulate = y.Accumulate;
        long p = a.Count / n;
        int blocks = (int)((p + Grain - 1) / Grain);
        ForkJoinPool.Run(n * blocks, item =>
        {
            long start = item % blocks * Grain, first = (item / blocks * p) + start;
            Range(mapOfSample(item / blocks), pa + first, pb is null ? null : pb + first, pc is null ? null : pc + first, py + first,
                Math.Min(Grain, p - start), accumulate);
        }, parallel: a.Count > Grain);
    }

    private static void Range<TMap>(TMap map, float* a, float* b, float* c, float* y, long count, bool accumulate)
        where TMap : struct, IElementMap
    {
        for (long i = 0; i < count; i += Simd.Width)
        {
            long left = count - i;
            var v = map.Apply(Simd.Load(a + i, left), b is null ? Lanes.Zero : Simd.Load(b + i, left),
                c is null ? Lanes.Zero : Simd.Load(c + i, left));
            Simd.Store(v, y + i, left, accumulate);
        }
    }
}

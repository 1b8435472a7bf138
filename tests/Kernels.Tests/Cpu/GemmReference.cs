using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Textbook loops in double precision over the layouts of the matrix engine.</summary>
internal static class GemmReference
{
    /// <summary>Calls back for every product of a convolution: indices into x, filter and y.</summary>
    public static void EachProduct(in Conv2DShape s, Action<int, int, int> product)
    {
        for (int n = 0; n < s.N; n++)
        for (int oy = 0; oy < s.OutH; oy++)
        for (int ox = 0; ox < s.OutW; ox++)
        for (int r = 0; r < s.R; r++)
        for (int q = 0; q < s.S; q++)
        {
            int iy = (oy * s.Stride) - s.PadH + r, ix = (ox * s.Stride) - s.PadW + q;
            if (iy < 0 || iy >= s.H || ix < 0 || ix >= s.W)
                continue;
            for (int k = 0; k < s.K; k++)
            for (int c = 0; c < s.C; c++)
            {
                product((((((n * s.H) + iy) * s.W) + ix) * s.C) + c, (((((k * s.R) + r) * s.S) + q) * s.C) + c,
                    (((((n * s.OutH) + oy) * s.OutW) + ox) * s.K) + k);
            }
        }
    }

    public static double[] Forward(in Conv2DShape s, float[] x, float[] filter)
    {
        double[] y = new double[s.Pixels * s.K];
        EachProduct(s, (ix, iw, iy) => y[iy] += (double)x[ix] * filter[iw]);
        return y;
    }

    public static double[] BackwardInput(in Conv2DShape s, float[] dy, float[] filter)
    {
        double[] dx = new double[s.N * s.H * s.W * s.C];
        EachProduct(s, (ix, iw, iy) => dx[ix] += (double)dy[iy] * filter[iw]);
        return dx;
    }

    public static double[] BackwardFilter(in Conv2DShape s, float[] x, float[] dy)
    {
        double[] dFilter = new double[s.K * s.Depth];
        EachProduct(s, (ix, iw, iy) => dFilter[iw] += (double)dy[iy] * x[ix]);
        return dFilter;
    }

    /// <summary>Values in [-1, 1).</summary>
    public static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = (random.NextSingle() * 2) - 1;
        return values;
    }

    /// <summary>Asserts that every value is within single-precision distance of the reference.</summary>
    /// <param name="actual">The values.</param>
    /// <param name="expected">The reference.</param>
    /// <param name="terms">Products of magnitude up to 1 in each sum. Partial sums grow with the root of their number, and so does the
    /// rounding of each, so the deviation is about 1e-8 per term; five of those are allowed.</param>
    public static void AssertClose(ReadOnlySpan<float> actual, ReadOnlySpan<double> expected, int terms)
    {
        Assert.That(actual.Length, Is.EqualTo(expected.Length));
        double tolerance = 6e-7 + (5e-8 * terms);
        for (int i = 0; i < actual.Length; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) <= tolerance))
                Assert.Fail($"value {i} of {actual.Length}: got {actual[i]:g9}, want {expected[i]:g9} within {tolerance:g2}");
        }
    }
}

/// <summary>Native memory with guard values on both sides, at an address that is aligned to nothing but floats.</summary>
internal sealed unsafe class GuardedBuffer : IDisposable
{
    private const int Guards = 67;
    private const float Guard = 1.25e30f;
    private readonly float* _memory;
    private readonly int _count;

    public GuardedBuffer(int count, float fill = float.NaN)
    {
        _count = count;
        _memory = (float*)NativeMemory.Alloc((nuint)(count + (2 * Guards)), sizeof(float));
        new Span<float>(_memory, count + (2 * Guards)).Fill(Guard);
        Values.Fill(fill);
    }

    public GuardedBuffer(ReadOnlySpan<float> values)
        : this(values.Length) => values.CopyTo(Values);

    public float* Pointer => _memory + Guards;

    public Span<float> Values => new(Pointer, _count);

    public void AssertGuardsIntact()
    {
        Assert.That(new Span<float>(_memory, Guards).IndexOfAnyExcept(Guard), Is.EqualTo(-1), "a value before the buffer was written");
        Assert.That(new Span<float>(Pointer + _count, Guards).IndexOfAnyExcept(Guard), Is.EqualTo(-1),
            "a value after the buffer was written");
    }

    public void Dispose() => NativeMemory.Free(_memory);
}

global using Lanes = System.Runtime.Intrinsics.Vector512<float>;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels;

/// <summary>Sixteen floats at a time: loads and stores that respect the end of a row, sums in a fixed order, exponentials.</summary>
/// <remarks>Every loop is written once over sixteen lanes. The compiler splits them into two or four registers where the machine's are
/// narrower, and because the order of a sum follows the lanes, all machines with fused multiply-add get the same bits.</remarks>
internal static unsafe class Simd
{
    /// <summary>Values of one <see cref="Lanes"/>.</summary>
    public const int Width = 16;

    /// <summary>Terms that are added in float one after the other before they join a longer sum.</summary>
    public const int ShortSum = 64;

    /// <summary>Rounds a length up to whole lanes.</summary>
    public static int Padded(int length) => (length + Width - 1) / Width * Width;

    /// <summary>The same value in every lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Splat(float value) => Vector512.Create(value);

    /// <summary>The next values of a row; lanes past its end are zero.</summary>
    /// <param name="p">First value.</param>
    /// <param name="left">Values up to the end of the row, at least 1.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Load(float* p, long left) => left >= Width ? Vector512.Load(p) : LoadPart(p, (int)left);

    /// <summary>Writes the next values of a row and nothing past its end.</summary>
    /// <param name="v">The values.</param>
    /// <param name="p">First value.</param>
    /// <param name="left">Values up to the end of the row, at least 1.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes v, float* p, long left)
    {
        if (left >= Width)
            v.Store(p);
        else
            StorePart(v, p, (int)left);
    }

    /// <summary>Writes or adds the next values of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes v, float* p, long left, bool accumulate)
        => Store(accumulate ? Load(p, left) + v : v, p, left);

    /// <summary>a · b + c with one rounding.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes MultiplyAdd(Lanes a, Lanes b, Lanes c) => Vector512.FusedMultiplyAdd(a, b, c);

    /// <summary>The sum of the lanes, halves first: the same order on every machine.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes v)
    {
        var eight = v.GetLower() + v.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        var two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1));
        return two[0] + two[1];
    }

    /// <summary>The largest lane, if none is NaN; lanes past the end of a row must hold −∞.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Lanes v)
    {
        var eight = Vector256.MaxNative(v.GetLower(), v.GetUpper());
        var four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
        var two = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(two[0], two[1]);
    }

    /// <summary>All bits set in the first lanes, none in the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes First(int count) => Vector512.LessThan(
        Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), Vector512.Create(count)).AsSingle();

    /// <summary>Keeps the first lanes and replaces the others.</summary>
    /// <param name="v">The values.</param>
    /// <param name="count">Lanes to keep.</param>
    /// <param name="other">What the others become.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Keep(Lanes v, int count, float other) => count >= Width ? v
        : Vector512.ConditionalSelect(First(count), v, Splat(other));

    /// <summary>e^x within 1 ulp, from subnormal results to infinity; NaN stays NaN.</summary>
    /// <remarks>x = n ln 2 + r with |r| ≤ ½ ln 2, ln 2 in two parts; a polynomial for e^r that was fitted at Chebyshev nodes (error
    /// 1e-8).</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Exp(Lanes x)
    {
        // The constant comes first: then NaN passes through.
        x = Vector512.MaxNative(Splat(-105f), Vector512.MinNative(Splat(89.5f), x));
        var n = Vector512.Round(x * Splat(1.44269504f));
        var r = MultiplyAdd(n, Splat(-0.693145752f), x);
        r = MultiplyAdd(n, Splat(-1.42860677e-6f), r);
        var p = MultiplyAdd(Splat(0.0013926213f), r, Splat(0.008363203f));
        p = MultiplyAdd(p, r, Splat(0.041666556f));
        p = MultiplyAdd(p, r, Splat(0.16666576f));
        p = MultiplyAdd(p, r, Splat(0.5f));
        p = MultiplyAdd(p, r * r, r) + Lanes.One;
        return Scale(p, n);
    }

    /// <summary>1 / (1 + e^−x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Sigmoid(Lanes x) => Lanes.One / (Lanes.One + Exp(-x));

    /// <summary>The normal distribution function ½(1 + erf(x/√2)), relatively accurate in both tails.</summary>
    /// <param name="x">The argument.</param>
    /// <param name="density">e^(−x²/2) / √(2π).</param>
    /// <remarks>erfc(z) = t P(t) e^(−z²) with t = 1 / (1 + z/2); P was fitted at Chebyshev nodes (error 5e-8). The exponent −x²/2 is
    /// carried in two parts: its rounding would be multiplied by its size.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes NormalCdf(Lanes x, out Lanes density)
    {
        var z = Vector512.MinNative(Splat(15f), Vector512.Abs(x));
        var high = z * z;
        var low = MultiplyAdd(z, z, -high);
        var e = Exp(high * Splat(-0.5f)) * MultiplyAdd(low, Splat(-0.5f), Lanes.One);
        density = e * Splat(0.398942280f);
        var t = Lanes.One / MultiplyAdd(z, Splat(0.353553391f), Lanes.One);
        var p = MultiplyAdd(Splat(0.016229538f), t, Splat(-0.14297234f));
        p = MultiplyAdd(p, t, Splat(0.47099298f));
        p = MultiplyAdd(p, t, Splat(-0.7200367f));
        p = MultiplyAdd(p, t, Splat(0.45756912f));
        p = MultiplyAdd(p, t, Splat(-0.11486387f));
        p = MultiplyAdd(p, t, Splat(0.2302377f));
        p = MultiplyAdd(p, t, Splat(0.23785377f));
        p = MultiplyAdd(p, t, Splat(0.28292778f));
        p = MultiplyAdd(p, t, Splat(0.282062f));
        var tail = p * t * e * Splat(0.5f);
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Lanes.Zero), tail, Lanes.One - tail);
    }

    /// <summary>p · 2^n with one rounding.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Scale(Lanes p, Lanes n)
    {
        if (Avx512F.IsSupported)
            return Avx512F.Scale(p, n);
        // Two factors, so that neither leaves the range of normal numbers.
        var power = Vector512.ConvertToInt32Native(n);
        var half = Vector512.ShiftRightArithmetic(power, 1);
        return p * PowerOfTwo(half) * PowerOfTwo(power - half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes PowerOfTwo(Vector512<int> n) => Vector512.ShiftLeft(n + Vector512.Create(127), 23).AsSingle();

    // Masked instructions where there are any: a call would make the compiler keep every register of the surrounding loop in memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes LoadPart(float* p, int count)
    {
        if (Avx512F.IsSupported)
            return Avx512F.MaskLoad(p, First(count), Lanes.Zero);
        if (Avx.IsSupported)
            return Vector512.Create(Avx.MaskLoad(p, First(count).GetLower()), Avx.MaskLoad(p + (Width / 2), First(count).GetUpper()));
        return LoadSingly(p, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StorePart(Lanes v, float* p, int count)
    {
        if (Avx512F.IsSupported)
        {
            Avx512F.MaskStore(p, First(count), v);
        }
        else if (Avx.IsSupported)
        {
            Avx.MaskStore(p, First(count).GetLower(), v.GetLower());
            Avx.MaskStore(p + (Width / 2), First(count).GetUpper(), v.GetUpper());
        }
        else
        {
            StoreSingly(v, p, count);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Lanes LoadSingly(float* p, int count)
    {
        float* lanes = stackalloc float[Width];
        Lanes.Zero.Store(lanes);
        for (int i = 0; i < count; i++)
            lanes[i] = p[i];
        return Vector512.Load(lanes);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreSingly(Lanes v, float* p, int count)
    {
        float* lanes = stackalloc float[Width];
        v.Store(lanes);
        for (int i = 0; i < count; i++)
            p[i] = lanes[i];
    }
}

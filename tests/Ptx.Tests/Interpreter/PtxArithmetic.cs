using static System.BitConverter;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What instructions without memory compute, on registers of 64 bits; narrower values lie in the low bits, others zero.</summary>
/// <remarks>Approximations (ex2, lg2) are the nearest float, of which a GPU's differ by an ulp or two.</remarks>
internal static class PtxArithmetic
{
    public static IReadOnlyDictionary<string, Func<ulong, ulong>> Of1 { get; } = new Dictionary<string, Func<ulong, ulong>>
    {
        // Kernels use addresses of one space only; a number is the same in all of them here.
        ["cvta.to.global.u64"] = a => a,
        ["cvta.global.u64"] = a => a,
        ["cvta.local.u64"] = a => a,
        ["cvta.to.local.u64"] = a => a,
        ["cvt.u64.u32"] = a => (uint)a,
        ["cvt.u32.u64"] = a => (uint)a,
        ["cvt.s64.s32"] = a => (ulong)(int)a,
        ["cvt.s32.s64"] = a => (uint)a,
        ["cvt.rn.f32.s32"] = a => Bits((float)(int)a),
        ["cvt.rn.f32.u32"] = a => Bits((float)(uint)a),
        ["cvt.rn.f64.u32"] = a => Bits((double)(uint)a),
        ["cvt.rn.f64.s32"] = a => Bits((double)(int)a),
        ["cvt.rzi.s32.f32"] = a => (uint)Saturated(F(a)),
        ["cvt.rn.f32.f64"] = a => Bits((float)D(a)),
        ["cvt.f64.f32"] = a => Bits((double)F(a)),
        ["not.b32"] = a => (uint)~a,
        ["not.pred"] = a => a ^ 1,
        ["neg.s32"] = a => (uint)-(int)a,
        ["neg.f32"] = a => Bits(-F(a)),
        ["neg.f64"] = a => Bits(-D(a)),
        ["abs.f32"] = a => Bits(Math.Abs(F(a))),
        ["sqrt.rn.f32"] = a => Bits(MathF.Sqrt(F(a))),
        ["sqrt.rn.f64"] = a => Bits(Math.Sqrt(D(a))),
        ["rcp.rn.f32"] = a => Bits(1 / F(a)),
        ["rcp.rn.f64"] = a => Bits(1 / D(a)),
        ["ex2.approx.f32"] = a => Bits((float)Math.Pow(2, F(a))),
        ["lg2.approx.f32"] = a => Bits((float)Math.Log2(F(a))),
        ["testp.notanumber.f32"] = a => float.IsNaN(F(a)) ? 1u : 0,
    };

    public static IReadOnlyDictionary<string, Func<ulong, ulong, ulong>> Of2 { get; } = new Dictionary<string, Func<ulong, ulong, ulong>>
    {
        ["sub.s32"] = (a, b) => (uint)(a - b),
        ["sub.u32"] = (a, b) => (uint)(a - b),
        ["sub.s64"] = (a, b) => a - b,
        ["mul.lo.u32"] = (a, b) => (uint)(a * b),
        ["mul.lo.s64"] = (a, b) => a * b,
        ["mul.lo.u64"] = (a, b) => a * b,
        ["mul.wide.s32"] = (a, b) => (ulong)((long)(int)a * (int)b),
        ["mul.hi.u32"] = (a, b) => ((ulong)(uint)a * (uint)b) >> 32,
        ["div.s32"] = (a, b) => (uint)((int)a / (int)Divisor((uint)b)),
        ["div.u32"] = (a, b) => (uint)a / (uint)Divisor((uint)b),
        ["rem.s32"] = (a, b) => (uint)((int)a % (int)Divisor((uint)b)),
        ["rem.u32"] = (a, b) => (uint)a % (uint)Divisor((uint)b),
        ["min.s32"] = (a, b) => (uint)Math.Min((int)a, (int)b),
        ["max.s32"] = (a, b) => (uint)Math.Max((int)a, (int)b),
        ["min.u32"] = (a, b) => Math.Min((uint)a, (uint)b),
        ["max.u32"] = (a, b) => Math.Max((uint)a, (uint)b),
        ["and.b64"] = (a, b) => a & b,
        ["and.pred"] = (a, b) => a & b,
        ["or.b32"] = (a, b) => (uint)(a | b),
        ["or.b64"] = (a, b) => a | b,
        ["or.pred"] = (a, b) => a | b,
        ["xor.b32"] = (a, b) => (uint)(a ^ b),
        ["xor.b64"] = (a, b) => a ^ b,
        ["xor.pred"] = (a, b) => a ^ b,
        // Amounts beyond the width shift everything out.
        ["shl.b32"] = (a, b) => (uint)b > 31 ? 0 : (uint)a << (int)b,
        ["shl.b64"] = (a, b) => (uint)b > 63 ? 0 : a << (int)b,
        ["shr.u32"] = (a, b) => (uint)b > 31 ? 0 : (uint)a >> (int)b,
        ["shr.u64"] = (a, b) => (uint)b > 63 ? 0 : a >> (int)b,
        ["shr.s32"] = (a, b) => (uint)((int)a >> (int)Math.Min((uint)b, 31)),
        ["shr.s64"] = (a, b) => (ulong)((long)a >> (int)Math.Min((uint)b, 63)),
        ["sub.f32"] = (a, b) => Bits(F(a) - F(b)),
        ["div.rn.f32"] = (a, b) => Bits(F(a) / F(b)),
        ["add.f64"] = (a, b) => Bits(D(a) + D(b)),
        ["sub.f64"] = (a, b) => Bits(D(a) - D(b)),
        ["mul.f64"] = (a, b) => Bits(D(a) * D(b)),
        ["div.rn.f64"] = (a, b) => Bits(D(a) / D(b)),
    };

    public static IReadOnlyDictionary<string, Func<ulong, ulong, ulong, ulong>> Of3 { get; }
        = new Dictionary<string, Func<ulong, ulong, ulong, ulong>>
    {
        ["selp.b32"] = (a, b, p) => (uint)(p != 0 ? a : b),
        ["selp.b64"] = (a, b, p) => p != 0 ? a : b,
        ["mad.lo.s32"] = (a, b, c) => (uint)((a * b) + c),
        ["mad.wide.u32"] = (a, b, c) => ((ulong)(uint)a * (uint)b) + c,
        ["fma.rn.f32"] = (a, b, c) => Bits(MathF.FusedMultiplyAdd(F(a), F(b), F(c))),
        ["fma.rn.f64"] = (a, b, c) => Bits(Math.FusedMultiplyAdd(D(a), D(b), D(c))),
    };

    /// <summary>Those of two values that kernels consist of.</summary>
    /// <param name="code">The instruction.</param>
    /// <param name="target">Row.</param>
    /// <param name="a">Row.</param>
    /// <param name="b">Row.</param>
    public static PtxInstruction? Frequent(string code, int target, int a, int b) => code switch
    {
        "add.s32" or "add.u32" => new Compute2<AddWord>(target, a, b),
        "add.s64" or "add.u64" => new Compute2<AddLong>(target, a, b),
        "mul.lo.s32" => new Compute2<MultiplyWord>(target, a, b),
        "mul.wide.u32" => new Compute2<MultiplyWide>(target, a, b),
        "and.b32" => new Compute2<AndWord>(target, a, b),
        "add.f32" => new Compute2<AddFloat>(target, a, b),
        "mul.f32" => new Compute2<MultiplyFloat>(target, a, b),
        _ => null,
    };

    public static float F(ulong bits) => UInt32BitsToSingle((uint)bits);

    public static double D(ulong bits) => UInt64BitsToDouble(bits);

    public static ulong Bits(float value) => SingleToUInt32Bits(value);

    public static ulong Bits(double value) => DoubleToUInt64Bits(value);

    /// <summary>Past the ends the nearest one, NaN zero.</summary>
    private static int Saturated(float value)
        => float.IsNaN(value) ? 0 : value >= int.MaxValue ? int.MaxValue : value <= int.MinValue ? int.MinValue : (int)value;

    private static long Divisor(uint value) => value != 0 ? (int)value : throw new PtxFaultException("division by zero");
}

/// <summary>A value computed from two.</summary>
internal interface IOperation2
{
    static abstract ulong Apply(ulong a, ulong b);
}

internal readonly struct AddWord : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => (uint)(a + b);
}

internal readonly struct AddLong : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => a + b;
}

internal readonly struct MultiplyWord : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => (uint)(a * b);
}

internal readonly struct MultiplyWide : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => (ulong)(uint)a * (uint)b;
}

internal readonly struct AndWord : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => (uint)(a & b);
}

internal readonly struct AddFloat : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => PtxArithmetic.Bits(PtxArithmetic.F(a) + PtxArithmetic.F(b));
}

internal readonly struct MultiplyFloat : IOperation2
{
    public static ulong Apply(ulong a, ulong b) => PtxArithmetic.Bits(PtxArithmetic.F(a) * PtxArithmetic.F(b));
}

/// <summary>What setp computes.</summary>
internal static class PtxComparison
{
    /// <param name="comparison">lt, lo, neu, ...</param>
    /// <param name="type">Of what is compared.</param>
    public static Func<ulong, ulong, ulong> Of(string comparison, string type) => type switch
    {
        "s32" => Of(comparison, bits => (int)bits),
        "u32" or "b32" => Of(comparison, bits => (uint)bits),
        "s64" => Of(comparison, bits => (long)bits),
        "u64" or "b64" => Of(comparison, bits => bits),
        "f32" => Of(comparison, PtxArithmetic.F),
        "f64" => Of(comparison, PtxArithmetic.D),
        _ => throw new PtxFaultException("unknown comparison"),
    };

    /// <summary>Those that end in u are true where a number is NaN; lo, ls, hi and hs are for unsigned numbers.</summary>
    private static Func<ulong, ulong, ulong> Of<T>(string comparison, Func<ulong, T> read)
        where T : IComparable<T>, System.Numerics.IComparisonOperators<T, T, bool>
    {
        Func<T, T, bool> compare = comparison switch
        {
            "eq" => (a, b) => a == b,
            "ne" => (a, b) => a < b || a > b,
            "lt" or "lo" => (a, b) => a < b,
            "le" or "ls" => (a, b) => a <= b,
            "gt" or "hi" => (a, b) => a > b,
            "ge" or "hs" => (a, b) => a >= b,
            "equ" => (a, b) => !(a < b || a > b),
            "neu" => (a, b) => a != b,
            "ltu" => (a, b) => !(a >= b),
            "leu" => (a, b) => !(a > b),
            "gtu" => (a, b) => !(a <= b),
            "geu" => (a, b) => !(a < b),
            _ => throw new PtxFaultException("unknown comparison"),
        };
        return (a, b) => compare(read(a), read(b)) ? 1u : 0;
    }
}

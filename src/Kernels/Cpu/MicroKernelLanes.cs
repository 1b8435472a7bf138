using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>The operations of one register width, so that a micro-kernel is written once for AVX-512, AVX2 and NEON.</summary>
/// <typeparam name="V">The register: Vector512, Vector256 or Vector128 of float.</typeparam>
internal unsafe interface ILanes<V>
    where V : struct
{
    /// <summary>Floats per register.</summary>
    static abstract int Count { get; }

    /// <summary>Registers beside each other in the widest tile: what fits the register file with six rows.</summary>
    static abstract int TileVectors { get; }

    static abstract V Load(float* source);

    static abstract void Store(V value, float* target);

    static abstract V Broadcast(float value);

    static abstract V Add(V x, V y);

    /// <summary>x·y + z, rounded once where the processor can.</summary>
    static abstract V MultiplyAdd(V x, V y, V z);

    /// <summary>max(x, 0); NaN stays NaN.</summary>
    static abstract V Relu(V x);

    /// <summary>x / (1 + exp(-x)).</summary>
    static abstract V Silu(V x);
}

/// <summary>AVX-512: 24 sums, 4 panel registers and 1 broadcast out of 32 registers.</summary>
internal readonly unsafe struct Lanes512 : ILanes<Vector512<float>>
{
    public static int Count => Vector512<float>.Count;

    public static int TileVectors => 4;

    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    public static void Store(Vector512<float> value, float* target) => value.Store(target);

    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    public static Vector512<float> Add(Vector512<float> x, Vector512<float> y) => x + y;

    public static Vector512<float> MultiplyAdd(Vector512<float> x, Vector512<float> y, Vector512<float> z) =>
        Vector512.MultiplyAddEstimate(x, y, z);

    public static Vector512<float> Relu(Vector512<float> x) => Vector512.Max(x, Vector512<float>.Zero);

    public static Vector512<float> Silu(Vector512<float> x) => x / (Vector512<float>.One + Vector512.Exp(-x));
}

/// <summary>AVX2: 12 sums, 2 panel registers and 1 broadcast out of 16 registers.</summary>
internal readonly unsafe struct Lanes256 : ILanes<Vector256<float>>
{
    public static int Count => Vector256<float>.Count;

    public static int TileVectors => 2;

    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    public static void Store(Vector256<float> value, float* target) => value.Store(target);

    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    public static Vector256<float> Add(Vector256<float> x, Vector256<float> y) => x + y;

    public static Vector256<float> MultiplyAdd(Vector256<float> x, Vector256<float> y, Vector256<float> z) =>
        Vector256.MultiplyAddEstimate(x, y, z);

    public static Vector256<float> Relu(Vector256<float> x) => Vector256.Max(x, Vector256<float>.Zero);

    public static Vector256<float> Silu(Vector256<float> x) => x / (Vector256<float>.One + Vector256.Exp(-x));
}

/// <summary>NEON: 24 sums, 4 panel registers and 1 broadcast out of 32 registers; also the widest choice of an x86 without AVX2.</summary>
internal readonly unsafe struct Lanes128 : ILanes<Vector128<float>>
{
    public static int Count => Vector128<float>.Count;

    public static int TileVectors => 4;

    public static Vector128<float> Load(float* source) => Vector128.Load(source);

    public static void Store(Vector128<float> value, float* target) => value.Store(target);

    public static Vector128<float> Broadcast(float value) => Vector128.Create(value);

    public static Vector128<float> Add(Vector128<float> x, Vector128<float> y) => x + y;

    public static Vector128<float> MultiplyAdd(Vector128<float> x, Vector128<float> y, Vector128<float> z) =>
        Vector128.MultiplyAddEstimate(x, y, z);

    public static Vector128<float> Relu(Vector128<float> x) => Vector128.Max(x, Vector128<float>.Zero);

    public static Vector128<float> Silu(Vector128<float> x) => x / (Vector128<float>.One + Vector128.Exp(-x));
}

/// <summary>A number of registers known to the compiler, so that the sums of a narrower tile vanish from its code.</summary>
internal interface IVectorCount
{
    static abstract int Count { get; }
}

internal readonly struct OneVector : IVectorCount
{
    public static int Count => 1;
}

internal readonly struct TwoVectors : IVectorCount
{
    public static int Count => 2;
}

internal readonly struct ThreeVectors : IVectorCount
{
    public static int Count => 3;
}

internal readonly struct FourVectors : IVectorCount
{
    public static int Count => 4;
}

/// <summary>Rows of a tile, as a constant for the compiler.</summary>
internal interface IRowCount
{
    static abstract int Count { get; }
}

internal readonly struct OneRow : IRowCount
{
    public static int Count => 1;
}

internal readonly struct TwoRows : IRowCount
{
    public static int Count => 2;
}

internal readonly struct ThreeRows : IRowCount
{
    public static int Count => 3;
}

internal readonly struct FourRows : IRowCount
{
    public static int Count => 4;
}

internal readonly struct FiveRows : IRowCount
{
    public static int Count => 5;
}

internal readonly struct SixRows : IRowCount
{
    public static int Count => 6;
}

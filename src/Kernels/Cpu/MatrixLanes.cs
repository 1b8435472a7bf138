using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>The operations of one register width in double precision, for <see cref="MatrixKernel{L, V}"/>.</summary>
/// <typeparam name="V">The register: Vector512, Vector256 or Vector128 of double.</typeparam>
internal unsafe interface IMatrixLanes<V>
    where V : struct
{
    /// <summary>Values per register.</summary>
    static abstract int Count { get; }

    /// <summary>Whether six rows of four registers fit the register file; otherwise two.</summary>
    static abstract bool IsWide { get; }

    static abstract V Load(double* source);

    static abstract void Store(V value, double* target);

    static abstract V Broadcast(double value);

    /// <summary>x·y + z, rounded once where the processor can.</summary>
    static abstract V MultiplyAdd(V x, V y, V z);
}

/// <summary>AVX-512.</summary>
internal readonly unsafe struct MatrixLanes512 : IMatrixLanes<Vector512<double>>
{
    public static int Count => Vector512<double>.Count;

    public static bool IsWide => true;

    public static Vector512<double> Load(double* source) => Vector512.Load(source);

    public static void Store(Vector512<double> value, double* target) => value.Store(target);

    public static Vector512<double> Broadcast(double value) => Vector512.Create(value);

    public static Vector512<double> MultiplyAdd(Vector512<double> x, Vector512<double> y, Vector512<double> z) =>
        Vector512.MultiplyAddEstimate(x, y, z);
}

/// <summary>AVX2: sixteen registers.</summary>
internal readonly unsafe struct MatrixLanes256 : IMatrixLanes<Vector256<double>>
{
    public static int Count => Vector256<double>.Count;

    public static bool IsWide => false;

    public static Vector256<double> Load(double* source) => Vector256.Load(source);

    public static void Store(Vector256<double> value, double* target) => value.Store(target);

    public static Vector256<double> Broadcast(double value) => Vector256.Create(value);

    public static Vector256<double> MultiplyAdd(Vector256<double> x, Vector256<double> y, Vector256<double> z) =>
        Vector256.MultiplyAddEstimate(x, y, z);
}

/// <summary>NEON, and an x86 without AVX2.</summary>
internal readonly unsafe struct MatrixLanes128 : IMatrixLanes<Vector128<double>>
{
    public static int Count => Vector128<double>.Count;

    public static bool IsWide => true;

    public static Vector128<double> Load(double* source) => Vector128.Load(source);

    public static void Store(Vector128<double> value, double* target) => value.Store(target);

    public static Vector128<double> Broadcast(double value) => Vector128.Create(value);

    public static Vector128<double> MultiplyAdd(Vector128<double> x, Vector128<double> y, Vector128<double> z) =>
        Vector128.MultiplyAddEstimate(x, y, z);
}

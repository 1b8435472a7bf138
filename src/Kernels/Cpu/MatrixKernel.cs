using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>The inner loop of products in double precision: six rows by a panel of two or four registers.</summary>
internal abstract unsafe class MatrixKernel
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 6;

    /// <summary>Upper bound of <see cref="Width"/>, for buffers on the stack.</summary>
    public const int MaxWidth = 32;

    /// <summary>The widest kernel that this processor runs at full speed.</summary>
    public static MatrixKernel Widest { get; } =
        Vector512.IsHardwareAccelerated ? new MatrixKernel<MatrixLanes512, Vector512<double>>()
        : Vector256.IsHardwareAccelerated ? new MatrixKernel<MatrixLanes256, Vector256<double>>()
        : new MatrixKernel<MatrixLanes128, Vector128<double>>();

    /// <summary>Columns of a tile.</summary>
    public abstract int Width { get; }

    /// <summary>sums[i][j] = Σ over k of a[k][i] · b[k][j], in the order of k.</summary>
    /// <param name="depth">Terms of each sum.</param>
    /// <param name="a">[depth, 6].</param>
    /// <param name="b">[depth, Width].</param>
    /// <param name="sums">[6, Width].</param>
    public abstract void Dot(nint depth, double* a, double* b, double* sums);
}

/// <summary>The kernel of one register width.</summary>
internal sealed unsafe class MatrixKernel<L, V> : MatrixKernel
    where L : struct, IMatrixLanes<V>
    where V : struct
{
    public override int Width => L.Count * (L.IsWide ? 4 : 2);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Dot(nint depth, double* a, double* b, double* sums)
    {
        V s00 = default, s01 = default, s02 = default, s03 = default;
        V s10 = default, s11 = default, s12 = default, s13 = default;
        V s20 = default, s21 = default, s22 = default, s23 = default;
        V s30 = default, s31 = default, s32 = default, s33 = default;
        V s40 = default, s41 = default, s42 = default, s43 = default;
        V s50 = default, s51 = default, s52 = default, s53 = default;
        int width = L.Count * (L.IsWide ? 4 : 2);
        for (nint k = 0; k < depth; k++, a += Rows, b += width)
        {
            V b0 = L.Load(b);
            V b1 = L.Load(b + L.Count);
            V b2 = L.IsWide ? L.Load(b + (2 * L.Count)) : default;
            V b3 = L.IsWide ? L.Load(b + (3 * L.Count)) : default;

            V x = L.Broadcast(a[0]);
            s00 = L.MultiplyAdd(x, b0, s00);
            s01 = L.MultiplyAdd(x, b1, s01);
            s02 = L.IsWide ? L.MultiplyAdd(x, b2, s02) : default;
            s03 = L.IsWide ? L.MultiplyAdd(x, b3, s03) : default;

            x = L.Broadcast(a[1]);
            s10 = L.MultiplyAdd(x, b0, s10);
            s11 = L.MultiplyAdd(x, b1, s11);
            s12 = L.IsWide ? L.MultiplyAdd(x, b2, s12) : default;
            s13 = L.IsWide ? L.MultiplyAdd(x, b3, s13) : default;

            x = L.Broadcast(a[2]);
            s20 = L.MultiplyAdd(x, b0, s20);
            s21 = L.MultiplyAdd(x, b1, s21);
            s22 = L.IsWide ? L.MultiplyAdd(x, b2, s22) : default;
            s23 = L.IsWide ? L.MultiplyAdd(x, b3, s23) : default;

            x = L.Broadcast(a[3]);
            s30 = L.MultiplyAdd(x, b0, s30);
            s31 = L.MultiplyAdd(x, b1, s31);
            s32 = L.IsWide ? L.MultiplyAdd(x, b2, s32) : default;
            s33 = L.IsWide ? L.MultiplyAdd(x, b3, s33) : default;

            x = L.Broadcast(a[4]);
            s40 = L.MultiplyAdd(x, b0, s40);
            s41 = L.MultiplyAdd(x, b1, s41);
            s42 = L.IsWide ? L.MultiplyAdd(x, b2, s42) : default;
            s43 = L.IsWide ? L.MultiplyAdd(x, b3, s43) : default;

            x = L.Broadcast(a[5]);
            s50 = L.MultiplyAdd(x, b0, s50);
            s51 = L.MultiplyAdd(x, b1, s51);
            s52 = L.IsWide ? L.MultiplyAdd(x, b2, s52) : default;
            s53 = L.IsWide ? L.MultiplyAdd(x, b3, s53) : default;
        }

        Write(sums, s00, s01, s02, s03);
        Write(sums + width, s10, s11, s12, s13);
        Write(sums + (2 * width), s20, s21, s22, s23);
        Write(sums + (3 * width), s30, s31, s32, s33);
        Write(sums + (4 * width), s40, s41, s42, s43);
        Write(sums + (5 * width), s50, s51, s52, s53);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(double* row, V s0, V s1, V s2, V s3)
    {
        L.Store(s0, row);
        L.Store(s1, row + L.Count);
        if (L.IsWide)
        {
            L.Store(s2, row + (2 * L.Count));
            L.Store(s3, row + (3 * L.Count));
        }
    }
}

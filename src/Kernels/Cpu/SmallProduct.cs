using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>Products of small matrices that lie in the first-level cache: the blocks of attention.</summary>
internal static unsafe class SmallProduct
{
    /// <summary>Rows that are computed together: enough sums to hide the latency of a multiply-add.</summary>
    private const int RowBlock = 8;

    /// <summary>C = A · B, or C += A · B.</summary>
    /// <param name="a">Element (r, k) lies at r · aRow + k · aDepth: either operand order without a transposed copy.</param>
    /// <param name="aRow">Distance of A's rows.</param>
    /// <param name="aDepth">Distance of A's columns.</param>
    /// <param name="b">Rows of whole lanes.</param>
    /// <param name="bRow">Distance of B's rows.</param>
    /// <param name="c">Rows of whole lanes.</param>
    /// <param name="cRow">Distance of C's rows.</param>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="columns">Columns of B and C, a multiple of the lanes.</param>
    /// <param name="depth">Terms of each sum.</param>
    /// <param name="accumulate">Whether to add to C.</param>
    public static void Run(float* a, long aRow, long aDepth, float* b, long bRow, float* c, long cRow, int rows, int columns, int depth,
        bool accumulate)
    {
        for (int row = 0; row < rows; row += RowBlock)
            Rows(a + (row * aRow), aRow, aDepth, b, bRow, c + (row * cRow), cRow, Math.Min(rows - row, RowBlock), columns, depth,
                accumulate);
    }

    /// <summary>Eight rows, sixteen columns at a time. Missing rows compute the last one again and are not stored.</summary>
    private static void Rows(float* a, long aRow, long aDepth, float* b, long bRow, float* c, long cRow, int rows, int columns, long depth,
        bool accumulate)
    {
        int last = rows - 1;
        float* a1 = a + (Math.Min(1, last) * aRow), a2 = a + (Math.Min(2, last) * aRow), a3 = a + (Math.Min(3, last) * aRow);
        float* a4 = a + (Math.Min(4, last) * aRow), a5 = a + (Math.Min(5, last) * aRow), a6 = a + (Math.Min(6, last) * aRow);
        float* a7 = a + (last * aRow);
        for (int column = 0; column < columns; column += Simd.Width)
        {
            float* row = b + column, target = c + column;
            Lanes s0 = Lanes.Zero, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
            long at = 0;
            for (long left = depth; left > 0; left--)
            {
                var v = Vector512.Load(row);
                s0 = Simd.MultiplyAdd(Simd.Splat(a[at]), v, s0);
                s1 = Simd.MultiplyAdd(Simd.Splat(a1[at]), v, s1);
                s2 = Simd.MultiplyAdd(Simd.Splat(a2[at]), v, s2);
                s3 = Simd.MultiplyAdd(Simd.Splat(a3[at]), v, s3);
                s4 = Simd.MultiplyAdd(Simd.Splat(a4[at]), v, s4);
                s5 = Simd.MultiplyAdd(Simd.Splat(a5[at]), v, s5);
                s6 = Simd.MultiplyAdd(Simd.Splat(a6[at]), v, s6);
                s7 = Simd.MultiplyAdd(Simd.Splat(a7[at]), v, s7);
                at += aDepth;
                row += bRow;
            }
            Put(s0, target, 0, rows, cRow, accumulate);
            Put(s1, target, 1, rows, cRow, accumulate);
            Put(s2, target, 2, rows, cRow, accumulate);
            Put(s3, target, 3, rows, cRow, accumulate);
            Put(s4, target, 4, rows, cRow, accumulate);
            Put(s5, target, 5, rows, cRow, accumulate);
            Put(s6, target, 6, rows, cRow, accumulate);
            Put(s7, target, 7, rows, cRow, accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(Lanes sum, float* c, int row, int rows, long cRow, bool accumulate)
    {
        if (row < rows)
            Simd.Store(sum, c + (row * cRow), Simd.Width, accumulate);
    }
}

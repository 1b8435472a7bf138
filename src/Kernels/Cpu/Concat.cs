namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void ConcatForward(int rows, int columnsA, int columnsB, Tensor a, Tensor b, Tensor y)
    {
        int columns = columnsA + columnsB;
        CopyColumns(rows, columnsA, Pointer(a), columnsA, Pointer(y), columns, accumulate: false);
        CopyColumns(rows, columnsB, Pointer(b), columnsB, Pointer(y) + columnsA, columns, accumulate: false);
    }

    public override void ConcatBackward(int rows, int columnsA, int columnsB, Tensor dy, GradientTarget da, GradientTarget db)
    {
        int columns = columnsA + columnsB;
        if (da.Tensor is not null)
            CopyColumns(rows, columnsA, Pointer(dy), columns, Pointer(da.Tensor), columnsA, da.Accumulate);
        if (db.Tensor is not null)
            CopyColumns(rows, columnsB, Pointer(dy) + columnsA, columns, Pointer(db.Tensor), columnsB, db.Accumulate);
    }

    /// <summary>Copies or adds rows of a matrix into rows of another.</summary>
    private static void CopyColumns(int rows, int columns, float* x, int xStride, float* y, int yStride, bool accumulate)
        => new RowBlocks(new RowShape(1, rows, columns)).Run((_, _, first, end) =>
        {
            for (long row = first; row < end; row++)
                for (int c = 0; c < columns; c += Simd.Width)
                    Simd.Store(Simd.Load(x + (row * xStride) + c, columns - c), y + (row * yStride) + c, columns - c, accumulate);
        });
}

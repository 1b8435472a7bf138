namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void ConcatForward(int rows, int columnsA, int columnsB, Tensor a, Tensor b, Tensor y)
    {
        float* pa = Pointer(a), pb = Pointer(b), py = Pointer(y);
        new RowBlocks(new RowShape(1, rows, columnsA + columnsB)).Run((_, _, first, end) =>
        {
            for (long row = first; row < end; row++)
            {
                float* joined = py + (row * (columnsA + columnsB));
                CopyRow(pa + (row * columnsA), joined, columnsA, accumulate: false);
                CopyRow(pb + (row * columnsB), joined + columnsA, columnsB, accumulate: false);
            }
        });
    }

    public override void ConcatBackward(int rows, int columnsA, int columnsB, Tensor dy, GradientTarget da, GradientTarget db)
    {
        float* pdy = Pointer(dy), pda = PointerOrNull(da.Tensor), pdb = PointerOrNull(db.Tensor);
        new RowBlocks(new RowShape(1, rows, columnsA + columnsB)).Run((_, _, first, end) =>
        {
            for (long row = first; row < end; row++)
            {
                float* joined = pdy + (row * (columnsA + columnsB));
                if (pda is not null)
                    CopyRow(joined, pda + (row * columnsA), columnsA, da.Accumulate);
                if (pdb is not null)
                    CopyRow(joined + columnsA, pdb + (row * columnsB), columnsB, db.Accumulate);
            }
        });
    }

    private static void CopyRow(float* x, float* y, int length, bool accumulate)
    {
        for (int i = 0; i < length; i += Simd.Width)
            Simd.Store(Simd.Load(x + i, length - i), y + i, length - i, accumulate);
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>Matrix products: <see cref="ImplicitGemm"/> with operands that lie as they are.</summary>
internal sealed partial class GpuBackend
{
    public override void MatMul(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
    {
        if (c.Tensor is null)
            return;
        int columnsA = s.TransposeA ? s.M : s.K, columnsB = s.TransposeB ? s.K : s.N;
        if (IsFourWide(columnsA, a) && IsFourWide(columnsB, b) && IsFourWide(s.N, c.Tensor))
            MatMulImplicitGemm<FourWide>(s, a, b, c);
        else
            MatMulImplicitGemm<OneWide>(s, a, b, c);
    }

    private void MatMulImplicitGemm<TWidth>(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
        where TWidth : struct, IAccessWidth
    {
        if (s.TransposeA)
            MatMulImplicitGemm<TWidth, RowsAreDepth>(s, a, b, c);
        else
            MatMulImplicitGemm<TWidth, ColumnsAreDepth>(s, a, b, c);
    }

    private void MatMulImplicitGemm<TWidth, TOrderA>(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
        where TWidth : struct, IAccessWidth
        where TOrderA : struct, IOperandOrder
    {
        if (s.TransposeB)
            MatMulImplicitGemm<TWidth, TOrderA, ColumnsAreDepth>(s, a, b, c);
        else
            MatMulImplicitGemm<TWidth, TOrderA, RowsAreDepth>(s, a, b, c);
    }

    /// <summary>Slices are the matrices of the batch.</summary>
    private void MatMulImplicitGemm<TWidth, TOrderA, TOrderB>(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
        where TWidth : struct, IAccessWidth
        where TOrderA : struct, IOperandOrder
        where TOrderB : struct, IOperandOrder
        => Multiply<MatrixSource<TWidth>, TOrderA, MatrixSource<TWidth>, TOrderB, MatrixResult<TWidth>>(
            Matrices<TWidth>(a, TOrderA.ColumnsAreDepth, s.M, s.K),
            Matrices<TWidth>(b, TOrderB.ColumnsAreDepth, s.N, s.K),
            new MatrixResult<TWidth>
            {
                Values = View(c.Tensor!),
                Lines = s.M,
                Columns = s.N,
                SliceStride = s.M * s.N,
                Accumulate = c.Accumulate ? 1 : 0,
            },
            Product(s.M, s.N, s.K, s.Batch));

    private static MatrixSource<TWidth> Matrices<TWidth>(Tensor values, bool columnsAreDepth, int lines, int depth)
        where TWidth : struct, IAccessWidth
        => new()
        {
            Matrix = View(values),
            Rows = columnsAreDepth ? lines : depth,
            Columns = columnsAreDepth ? depth : lines,
            SliceStride = lines * depth,
        };
}

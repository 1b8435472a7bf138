namespace Diffusion.Gpu.Kernels;

/// <summary>Matrix products: <see cref="ImplicitGemm"/> with operands that lie as they are.</summary>
internal sealed partial class GpuBackend
{
    public override void MatMul(in MatMulShape s, Tensor a, Tensor b, GradientTarget c)
    {
        if (c.Tensor is null)
            return;
        Enter("matrix product");
        int columnsA = s.TransposeA ? s.M : s.K, columnsB = s.TransposeB ? s.K : s.N;
        using Operand left = Stage(a, columnsA), right = Stage(b, columnsB);
        bool isFourWide = IsFourWide(s.N, c.Tensor);
        if (isFourWide && (UsesTiles || (IsFourWide(columnsA, a) && IsFourWide(columnsB, b))))
            MatMulImplicitGemm<FourWide, FourWide>(s, left, right, c);
        else if (UsesTiles)
            MatMulImplicitGemm<FourWide, OneWide>(s, left, right, c);
        else
            MatMulImplicitGemm<OneWide, OneWide>(s, left, right, c);
    }

    private void MatMulImplicitGemm<TWidth, TResultWidth>(in MatMulShape s, Operand a, Operand b, GradientTarget c)
        where TWidth : struct, IAccessWidth
        where TResultWidth : struct, IAccessWidth
    {
        if (s.TransposeA)
            MatMulImplicitGemm<TWidth, TResultWidth, RowsAreDepth>(s, a, b, c);
        else
            MatMulImplicitGemm<TWidth, TResultWidth, ColumnsAreDepth>(s, a, b, c);
    }

    private void MatMulImplicitGemm<TWidth, TResultWidth, TOrderA>(in MatMulShape s, Operand a, Operand b, GradientTarget c)
        where TWidth : struct, IAccessWidth
        where TResultWidth : struct, IAccessWidth
        where TOrderA : struct, IOperandOrder
    {
        if (s.TransposeB)
            MatMulImplicitGemm<TWidth, TResultWidth, TOrderA, ColumnsAreDepth>(s, a, b, c);
        else
            MatMulImplicitGemm<TWidth, TResultWidth, TOrderA, RowsAreDepth>(s, a, b, c);
    }

    /// <summary>Slices are the matrices of the batch; the sums of a single one may be split.</summary>
    private void MatMulImplicitGemm<TWidth, TResultWidth, TOrderA, TOrderB>(in MatMulShape s, Operand a, Operand b, GradientTarget c)
        where TWidth : struct, IAccessWidth
        where TResultWidth : struct, IAccessWidth
        where TOrderA : struct, IOperandOrder
        where TOrderB : struct, IOperandOrder
        => Multiply<MatrixSource<TWidth>, TOrderA, MatrixSource<TWidth>, TOrderB, MatrixResult<TResultWidth>>(
            Matrices<TWidth>(s, a, s.TransposeA ? s.K : s.M),
            Matrices<TWidth>(s, b, s.TransposeB ? s.N : s.K),
            new MatrixResult<TResultWidth>
            {
                Values = View(c.Tensor!),
                Lines = s.M,
                Columns = s.N,
                SliceStride = s.M * s.N,
                Accumulate = c.Accumulate ? 1 : 0,
            },
            s.Batch == 1 ? SplitProduct(s.M, s.N, s.K)
                : new GemmShape { Lines = s.M, Columns = s.N, Depth = s.K, Slices = s.Batch, SliceDepth = s.K });

    private static MatrixSource<TWidth> Matrices<TWidth>(in MatMulShape s, Operand values, int rows)
        where TWidth : struct, IAccessWidth
        => new()
        {
            Matrix = values.Values,
            Rows = rows,
            Columns = values.Columns,
            SliceStride = s.Batch == 1 ? 0 : rows * values.Columns,
        };
}

using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    /// <summary>Values that one work item adds up or converts.</summary>
    private const int MatrixGrain = 1 << 15;

    public override double Float64Rate => 1.0 / 2;

    public override void MatrixProduct(in MatrixProductShape s, Matrix a, Matrix b, Matrix? addend, Matrix c)
    {
        var result = Block(c);
        MatrixGemm.Multiply(s, Block(a), Block(b), addend is null ? default : Block(addend), result);
        if (s.Symmetric)
            MatrixGemm.Mirror(result, s.M);
    }

    public override void MatrixCholesky(Matrix a)
    {
        var values = new Span<double>(Pointer(a), checked((int)a.Count));
        if (!SymmetricMatrix.TryCholesky(values, a.Rows))
            values[0] = double.NaN;
    }

    public override void MatrixSum(Matrix a, Matrix? b, long count, int step, Matrix sum)
    {
        double* x = Pointer(a), y = b is null ? null : Pointer(b);
        int items = checked((int)((count + MatrixGrain - 1) / MatrixGrain));
        double* partial = Scratch.ForOp<double>(items);
        ForkJoinPool.Run(items, item =>
        {
            long first = (long)item * MatrixGrain, length = Math.Min(MatrixGrain, count - first);
            partial[item] = y is null ? StridedSum(x + (first * step), length, step) : Dot(x + first, y + first, length);
        }, items > 1);
        double total = 0;
        for (int item = 0; item < items; item++)
            total += partial[item];
        *Pointer(sum) = total;
    }

    public override void MatrixWiden(Tensor source, long firstSource, long first, long count, Matrix target)
    {
        float* x = Pointer(source) + firstSource;
        double* y = Pointer(target) + first;
        ForkJoinPool.RunRanges(count, MatrixGrain, (start, end) =>
        {
            for (long i = start; i < end; i++)
                y[i] = x[i];
        });
    }

    public override void MatrixRound(Matrix source, double factor, Tensor target)
    {
        double* x = Pointer(source);
        float* y = Pointer(target);
        ForkJoinPool.RunRanges(source.Count, MatrixGrain, (start, end) =>
        {
            for (long i = start; i < end; i++)
                y[i] = (float)(x[i] * factor);
        });
    }

    /// <summary>Σ x·y in eight lanes.</summary>
    internal static double Dot(double* x, double* y, long count)
    {
        var sum = Vector512<double>.Zero;
        var second = Vector512<double>.Zero;
        long i = 0;
        for (; i + 16 <= count; i += 16)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), sum);
            second = Vector512.FusedMultiplyAdd(Vector512.Load(x + i + 8), Vector512.Load(y + i + 8), second);
        }

        double total = Vector512.Sum(sum + second);
        for (; i < count; i++)
            total += x[i] * y[i];
        return total;
    }

    private static double StridedSum(double* x, long count, int step)
    {
        double sum = 0;
        for (long i = 0; i < count; i++)
            sum += x[i * step];
        return sum;
    }

    private static double* Pointer(Matrix matrix) => (double*)Pointer(matrix.Words);

    private static MatrixBlock Block(Matrix matrix) => new(Pointer(matrix), matrix.Columns);
}

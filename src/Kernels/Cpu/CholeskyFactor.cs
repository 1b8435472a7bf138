namespace Diffusion.Gpu.Kernels;

/// <summary>The Cholesky factor in blocks: factor a block of the diagonal, solve the rows below it, subtract their products.</summary>
internal static unsafe class CholeskyFactor
{
    /// <summary>Columns of a block.</summary>
    private const int Side = 64;

    /// <summary>Rows of a work item.</summary>
    private const int RowGrain = 32;

    /// <summary>Overwrites the lower triangle; false where a pivot is not positive.</summary>
    public static bool Factor(double* a, int n)
    {
        for (int first = 0; first < n; first += Side)
        {
            int start = first, end = Math.Min(n, first + Side), below = n - end;
            for (int row = first; row < end; row++)
            {
                double pivot = Solve(a, n, row, first, row);
                if (!(pivot > 0) || !double.IsFinite(pivot))
                    return false;
                a[((nint)row * n) + row] = Math.Sqrt(pivot);
            }

            if (below == 0)
                break;
            ForkJoinPool.RunRanges(below, RowGrain, (top, bottom) =>
            {
                for (long row = top; row < bottom; row++)
                    Solve(a, n, end + (int)row, start, end);
            });
            var rows = new MatrixBlock(a + ((nint)end * n) + first, n);
            var rest = new MatrixBlock(a + ((nint)end * n) + end, n);
            MatrixGemm.Multiply(new MatrixProductShape(below, below, end - first, false, true, -1, 1, 0, true), rows, rows, rest, rest);
        }

        return true;
    }

    /// <summary>Solves L · x = row for columns [first, end) of one row, in place; returns what is left of the row's diagonal.</summary>
    private static double Solve(double* a, int n, int row, int first, int end)
    {
        double* x = a + ((nint)row * n) + first;
        for (int column = first; column < end; column++)
        {
            double* factor = a + ((nint)column * n) + first;
            int known = column - first;
            x[known] = (x[known] - CpuBackend.Dot(factor, x, known)) / factor[known];
        }

        return row == end ? x[end - first] - CpuBackend.Dot(x, x, end - first) : 0;
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>Eigenvalues and Cholesky factors of symmetric matrices in host memory, on all of this machine's cores.</summary>
/// <remarks>Results depend on the matrix alone, never on the number of threads.</remarks>
public static class SymmetricMatrix
{
    /// <summary>All eigenvalues, ascending, without vectors.</summary>
    /// <param name="matrix">[n, n], row-major; only the part on and below the diagonal is read. Overwritten.</param>
    /// <param name="n">Rows, at least 1.</param>
    /// <exception cref="ShapeException">The matrix does not have n·n values.</exception>
    /// <exception cref="ArgumentException">A value is not finite.</exception>
    /// <remarks>Golub and Van Loan, Matrix Computations, 8.3: Householder's reduction to three diagonals, in blocks as in LAPACK's sytrd,
    /// then implicit QL. Errors are a few n·ε of the largest eigenvalue's size.</remarks>
    public static unsafe double[] Eigenvalues(Span<double> matrix, int n)
    {
        Check.That(n >= 1 && matrix.Length == (long)n * n, nameof(matrix), matrix.Length, $"{n}·{n} values");
        double scale = 0;
        for (int row = 0; row < n; row++)
        {
            foreach (double value in matrix.Slice(row * n, row + 1))
            {
                if (!double.IsFinite(value))
                    throw new ArgumentException($"row {row} holds {value}; eigenvalues need finite values", nameof(matrix));
                scale = Math.Max(scale, Math.Abs(value));
            }
        }

        double[] diagonal = new double[n], beside = new double[n];
        if (scale == 0)
            return diagonal;
        fixed (double* values = matrix)
        {
            using var reduction = new HouseholderTridiagonal(values, n, scale);
            reduction.Reduce(diagonal, beside);
        }

        TridiagonalEigenvalues.Find(diagonal, beside);
        for (int i = 0; i < n; i++)
            diagonal[i] *= scale;
        Array.Sort(diagonal);
        return diagonal;
    }

    /// <summary>Overwrites a matrix with its Cholesky factor L, lower triangular with zeros above: matrix = L · Lᵀ.</summary>
    /// <param name="matrix">[n, n], row-major; only the part on and below the diagonal is read.</param>
    /// <param name="n">Rows, at least 1.</param>
    /// <returns>False where the matrix is not positive definite to rounding; its values are then undefined.</returns>
    /// <exception cref="ShapeException">The matrix does not have n·n values.</exception>
    public static unsafe bool TryCholesky(Span<double> matrix, int n)
    {
        Check.That(n >= 1 && matrix.Length == (long)n * n, nameof(matrix), matrix.Length, $"{n}·{n} values");
        fixed (double* values = matrix)
        {
            if (!CholeskyFactor.Factor(values, n))
                return false;
        }

        for (int row = 0; row < n; row++)
            matrix.Slice((row * n) + row + 1, n - row - 1).Clear();
        return true;
    }
}

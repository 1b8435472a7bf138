namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Products, sums and conversions of matrices in double precision.</summary>
    public static IEnumerable<OpCase> Matrix =>
    [
        MatrixProduct(1, 1, 1, false, false, tiny: true),
        MatrixProduct(5, 7, 3, true, true, tiny: true),
        MatrixProduct(66, 3, 17, false, true, tiny: true),
        MatrixProduct(65, 130, 67, false, false),
        MatrixProduct(129, 33, 700, true, false),
        MatrixProduct(97, 101, 1030, false, true),
        MatrixProduct(1, 70, 515, true, true),
        MatrixGram(3, 5, tiny: true),
        MatrixGram(67, 19, tiny: true),
        MatrixGram(130, 64),
        MatrixGram(257, 531),
        MatrixDot(7, 3, tiny: true),
        MatrixDot(131, 97),
        MatrixTrace(5, tiny: true),
        MatrixTrace(301),
        MatrixCholesky(1, tiny: true),
        MatrixCholesky(5, tiny: true),
        MatrixCholesky(63),
        MatrixCholesky(64),
        MatrixCholesky(65),
        MatrixCholesky(192),
        MatrixCholesky(207),
    ];

    private static OpCase MatrixProduct(int m, int n, int k, bool transposeA, bool transposeB, bool tiny = false)
        => new($"Matrix product {m}x{n}x{k} {(transposeA ? "Aᵀ" : "A")}·{(transposeB ? "Bᵀ" : "B")} + addend + I",
            [Constant("a", transposeA ? [k, m] : [m, k]), Constant("b", transposeB ? [n, k] : [k, n]), Constant("addend", [m, n])],
            (tape, t) =>
            {
                using Matrix a = Widened(t[0]), b = Widened(t[1]), c = Widened(t[2]);
                c.SetProduct(a, b, transposeA, transposeB, alpha: -1.5, addend: c, beta: 0.5, gamma: 2);
                return Rounded(tape, c);
            },
            v => Each((long)m * n, i =>
            {
                int row = i / n, column = i % n;
                double sum = 0;
                for (int p = 0; p < k; p++)
                    sum += v[0][transposeA ? (p * m) + row : (row * k) + p] * v[1][transposeB ? (column * k) + p : (p * n) + column];
                return (-1.5 * sum) + (0.5 * v[2][i]) + (row == column ? 2 : 0);
            })) { Tolerance = 1e-7, Tiny = tiny };

    /// <summary>A symmetric result: only half of it is computed.</summary>
    private static OpCase MatrixGram(int n, int k, bool tiny = false)
        => new($"Matrix {n}x{n} from {k} rows, symmetric", [Constant("x", [k, n])], (tape, t) =>
            {
                using Matrix x = Widened(t[0]), gram = new(tape.Device, n, n), twice = new(tape.Device, n, n);
                gram.SetProduct(x, x, transposeA: true, symmetric: true);
                twice.SetProduct(x, x, transposeA: true, addend: gram, beta: -3, gamma: 1, symmetric: true);
                return Rounded(tape, twice);
            },
            v => Each((long)n * n, i =>
            {
                int row = i / n, column = i % n;
                return (-2 * Enumerable.Range(0, k).Sum(p => v[0][(p * n) + row] * v[0][(p * n) + column])) + (row == column ? 1 : 0);
            })) { Tolerance = 1e-7, Tiny = tiny };

    private static OpCase MatrixDot(int rows, int columns, bool tiny = false)
        => new($"Matrix inner product {rows}x{columns}", [Constant("a", [rows, columns]), Constant("b", [rows, columns])], (tape, t) =>
            {
                using Matrix a = Widened(t[0]), b = Widened(t[1]);
                return tape.Constant([2], [(float)a.Dot(b), (float)b.Norm()]);
            },
            v => [v[0].Zip(v[1], (x, y) => x * y).Sum(), Math.Sqrt(v[1].Sum(y => y * y))]) { Tolerance = 1e-7, Tiny = tiny };

    private static OpCase MatrixTrace(int n, bool tiny = false)
        => new($"Matrix trace {n}x{n}", [Constant("a", [n, n])], (tape, t) =>
            {
                using var a = Widened(t[0]);
                return tape.Constant([1], [(float)a.Trace()]);
            },
            v => [Enumerable.Range(0, n).Sum(i => v[0][i * (n + 1)])]) { Tolerance = 1e-7, Tiny = tiny };

    /// <summary>The factor of X·Xᵀ + I, of condition about n.</summary>
    private static OpCase MatrixCholesky(int n, bool tiny = false)
        => new($"Matrix Cholesky {n}x{n}", [Constant("x", [n, n])], (tape, t) =>
            {
                using Matrix x = Widened(t[0]), matrix = new(tape.Device, n, n);
                matrix.SetProduct(x, x, transposeB: true, gamma: 1, symmetric: true);
                matrix.TryCholesky();
                return Rounded(tape, matrix);
            },
            v =>
            {
                var l = new double[n * n];
                for (int row = 0; row < n; row++)
                {
                    for (int column = 0; column <= row; column++)
                    {
                        double sum = row == column ? 1 : 0;
                        for (int k = 0; k < n; k++)
                            sum += v[0][(row * n) + k] * v[0][(column * n) + k];
                        for (int k = 0; k < column; k++)
                            sum -= l[(row * n) + k] * l[(column * n) + k];
                        l[(row * n) + column] = row == column ? Math.Sqrt(sum) : sum / l[column * (n + 1)];
                    }
                }
                return l;
            }) { Tolerance = 1e-7, Tiny = tiny };

    private static Matrix Widened(Tensor source)
    {
        var matrix = new Matrix(source.Device, (int)(source.Count / source.Shape[^1]), source.Shape[^1]);
        matrix.SetRows(source, 0, 0, matrix.Rows);
        return matrix;
    }

    private static Tensor Rounded(Tape tape, Matrix matrix)
    {
        var y = tape.New([matrix.Rows, matrix.Columns]);
        matrix.RoundTo(y);
        return y;
    }
}

using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>Householder's reduction of a symmetric matrix to three diagonals, from the last row upwards.</summary>
/// <remarks>
/// A row-major lower triangle is consumed from its last row, so that every row in work and everything left over begin at a row's start.
/// Rows are taken in blocks of 32. Within a block the triangle above stays as it is and each step multiplies it once by a vector
/// (half of all operations, bound by memory: each value is read once and used for its row and its column); the block's changes
/// V·Wᵀ + W·Vᵀ are then subtracted as one matrix product. (Dongarra, Sorensen and Hammarling, 1989; LAPACK's latrd.)
/// </remarks>
internal sealed unsafe class HouseholderTridiagonal(double* a, int n, double scale) : IDisposable
{
    /// <summary>Rows of a block.</summary>
    private const int Block = 32;

    /// <summary>Parts of the triangle that are multiplied side by side: fixed, because each adds up a vector of its own.</summary>
    private const int Parts = 8;

    /// <summary>Below this size one part is faster.</summary>
    private const int SmallSize = 192;

    // V, W, V again: V and W on one side of the block's product, W and V on the other.
    private readonly AlignedBuffer _reflectors = new();
    private readonly AlignedBuffer _partial = new();
    private double* _v;
    private double* _w;
    private double* _sums;
    private nint _pitch;

    /// <summary>Computes the diagonals of the matrix divided by its scale; the matrix is overwritten.</summary>
    /// <param name="diagonal">[n].</param>
    /// <param name="beside">[n]: value i joins i and i + 1, the last one is 0.</param>
    public void Reduce(double[] diagonal, double[] beside)
    {
        _pitch = (n + 15) & ~7;
        _v = _reflectors.Take<double>(3 * Block * _pitch);
        _w = _v + (Block * _pitch);
        _sums = _partial.Take<double>((Parts + 1) * _pitch);
        for (nint row = 0; row < n; row++)
        {
            for (double* x = a + (row * n), end = x + row; x <= end; x++)
                *x /= scale;
        }

        for (int last = n - 1; last >= 0; last -= Block)
        {
            int first = Math.Max(0, last - Block + 1);
            for (int row = last; row >= first; row--)
            {
                ReduceRow(row, last - row, out double e);
                diagonal[row] = Row(row)[row];
                if (row > 0)
                    beside[row - 1] = e;
            }

            if (first > 0)
                SubtractBlock(first);
        }
    }

    public void Dispose()
    {
        _reflectors.Dispose();
        _partial.Dispose();
    }

    private double* Row(nint row) => a + (row * n);

    private void SubtractBlock(int size)
    {
        Buffer.MemoryCopy(_v, _v + (2 * Block * _pitch), Block * _pitch * sizeof(double), Block * _pitch * sizeof(double));
        var rest = new MatrixBlock(a, n);
        MatrixGemm.Multiply(new MatrixProductShape(size, size, 2 * Block, true, false, -1, 1, 0, true), new MatrixBlock(_v, _pitch),
            new MatrixBlock(_w, _pitch), rest, rest);
    }

    /// <summary>Brings one row up to date, makes the reflector that clears it beside the diagonals, and its partner vector.</summary>
    /// <param name="row">Also the number of values before the diagonal.</param>
    /// <param name="done">Reflectors of this block so far.</param>
    /// <param name="e">What remains beside the diagonal.</param>
    private void ReduceRow(int row, int done, out double e)
    {
        double* x = Row(row);
        for (int q = 0; q < done; q++)
        {
            double* vq = _v + (q * _pitch), wq = _w + (q * _pitch);
            AddTwice(x, wq, -vq[row], vq, -wq[row], row + 1);
        }

        e = 0;
        if (row == 0)
            return;
        double* v = _v + (done * _pitch), w = _w + (done * _pitch);
        double alpha = x[row - 1], rest = CpuBackend.Dot(x, x, row - 1);
        if (rest == 0)
        {
            e = alpha;
            new Span<double>(v, row).Clear();
            new Span<double>(w, row).Clear();
            return;
        }

        double norm = Math.Sqrt((alpha * alpha) + rest);
        e = alpha > 0 ? -norm : norm;
        double tau = (e - alpha) / e, inverse = 1 / (alpha - e);
        for (int i = 0; i < row - 1; i++)
            v[i] = x[i] * inverse;
        v[row - 1] = 1;

        Multiply(row, v, w);
        for (int q = 0; q < done; q++)
        {
            double* vq = _v + (q * _pitch), wq = _w + (q * _pitch);
            double vv = CpuBackend.Dot(vq, v, row), wv = CpuBackend.Dot(wq, v, row);
            AddTwice(w, vq, -wv, wq, -vv, row);
        }

        double half = -0.5 * tau * tau * CpuBackend.Dot(w, v, row);
        for (int i = 0; i < row; i++)
            w[i] = (tau * w[i]) + (half * v[i]);
    }

    /// <summary>w = A · v for the leading m × m part, of which the lower triangle is stored.</summary>
    private void Multiply(int m, double* v, double* w)
    {
        int parts = m < SmallSize ? 1 : Parts;
        double* byRow = _sums + (Parts * _pitch);
        ForkJoinPool.Run(parts, item =>
        {
            // Equal areas; the longest rows first.
            int part = parts - 1 - item, top = Boundary(m, part, parts), bottom = Boundary(m, part + 1, parts);
            double* byColumn = _sums + (part * _pitch);
            new Span<double>(byColumn, bottom).Clear();
            int row = top;
            for (; row + 4 <= bottom; row += 4)
                MultiplyFour(row, v, byColumn, byRow);
            for (; row < bottom; row++)
                byRow[row] = MultiplyRow(row, 0, v, byColumn) + (Row(row)[row] * v[row]);
        }, parts > 1);
        for (int i = 0; i < m; i++)
        {
            double sum = byRow[i];
            for (int part = 0; part < parts; part++)
            {
                if (i < Boundary(m, part + 1, parts))
                    sum += _sums[(part * _pitch) + i];
            }

            w[i] = sum;
        }
    }

    private static int Boundary(int m, int part, int parts) => part == parts ? m : (int)(m * Math.Sqrt((double)part / parts)) & ~3;

    /// <summary>Rows row..row+3 left of their diagonal: their products with v, and what they add to earlier rows as columns.</summary>
    private void MultiplyFour(int row, double* v, double* byColumn, double* byRow)
    {
        double* a0 = Row(row), a1 = a0 + n, a2 = a1 + n, a3 = a2 + n;
        Vector512<double> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector512<double> v0 = Vector512.Create(v[row]), v1 = Vector512.Create(v[row + 1]), v2 = Vector512.Create(v[row + 2]),
            v3 = Vector512.Create(v[row + 3]);
        int j = 0;
        for (; j + 8 <= row; j += 8)
        {
            var x = Vector512.Load(v + j);
            var y = Vector512.Load(byColumn + j);
            var r0 = Vector512.Load(a0 + j);
            var r1 = Vector512.Load(a1 + j);
            var r2 = Vector512.Load(a2 + j);
            var r3 = Vector512.Load(a3 + j);
            s0 = Vector512.FusedMultiplyAdd(r0, x, s0);
            s1 = Vector512.FusedMultiplyAdd(r1, x, s1);
            s2 = Vector512.FusedMultiplyAdd(r2, x, s2);
            s3 = Vector512.FusedMultiplyAdd(r3, x, s3);
            y = Vector512.FusedMultiplyAdd(r0, v0, y);
            y = Vector512.FusedMultiplyAdd(r1, v1, y);
            y = Vector512.FusedMultiplyAdd(r2, v2, y);
            Vector512.FusedMultiplyAdd(r3, v3, y).Store(byColumn + j);
        }

        byRow[row] = Vector512.Sum(s0) + MultiplyRow(row, j, v, byColumn) + (a0[row] * v[row]);
        byRow[row + 1] = Vector512.Sum(s1) + MultiplyRow(row + 1, j, v, byColumn) + (a1[row + 1] * v[row + 1]);
        byRow[row + 2] = Vector512.Sum(s2) + MultiplyRow(row + 2, j, v, byColumn) + (a2[row + 2] * v[row + 2]);
        byRow[row + 3] = Vector512.Sum(s3) + MultiplyRow(row + 3, j, v, byColumn) + (a3[row + 3] * v[row + 3]);
    }

    private double MultiplyRow(int row, int first, double* v, double* byColumn)
    {
        double* x = Row(row);
        double sum = 0, own = v[row];
        for (int j = first; j < row; j++)
        {
            sum += x[j] * v[j];
            byColumn[j] += x[j] * own;
        }

        return sum;
    }

    /// <summary>y += alpha · x + beta · z.</summary>
    private static void AddTwice(double* y, double* x, double alpha, double* z, double beta, int count)
    {
        Vector512<double> first = Vector512.Create(alpha), second = Vector512.Create(beta);
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            var sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), first, Vector512.Load(y + i));
            Vector512.FusedMultiplyAdd(Vector512.Load(z + i), second, sum).Store(y + i);
        }

        for (; i < count; i++)
            y[i] += (alpha * x[i]) + (beta * z[i]);
    }
}

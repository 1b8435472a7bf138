using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>A row-major matrix of 64-bit floats on a device, for statistics: the one type of double precision.</summary>
/// <remarks>Whoever makes a matrix disposes it; there is no tape and no gradient. Work is enqueued; only methods that return numbers
/// wait. Its memory comes from the device's pool.</remarks>
public sealed class Matrix : IDisposable
{
    private readonly Tensor _words;

    /// <summary>Allocates a matrix; its values are undefined.</summary>
    /// <param name="device">Where it lies; one with <see cref="Device.Float64Rate"/> above 0.</param>
    /// <param name="rows">At least 1.</param>
    /// <param name="columns">At least 1.</param>
    /// <exception cref="DeviceException">The device has no 64-bit floats, or no room.</exception>
    public Matrix(Device device, int rows, int columns)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (device.Float64Rate == 0)
            throw new DeviceException(device.Info.Id, "has no 64-bit floats, which statistics need", "make matrices on the device 'cpu'");
        Device = device;
        Rows = rows;
        Columns = columns;
        _words = device.NewTensor([rows, columns, 2]);
    }

    /// <summary>Allocates a matrix and fills it from the host.</summary>
    /// <param name="device">Where it lies.</param>
    /// <param name="rows">At least 1.</param>
    /// <param name="columns">At least 1.</param>
    /// <param name="values">[rows, columns], row-major.</param>
    /// <exception cref="ShapeException">The number of values differs.</exception>
    public Matrix(Device device, int rows, int columns, ReadOnlySpan<double> values)
        : this(device, rows, columns) => CopyFrom(values);

    private Matrix(Device device, int rows, int columns, Tensor words)
    {
        Device = device;
        Rows = rows;
        Columns = columns;
        _words = words;
    }

    /// <summary>Where the values lie.</summary>
    public Device Device { get; }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Number of columns.</summary>
    public int Columns { get; }

    /// <summary>Number of values.</summary>
    public long Count => (long)Rows * Columns;

    /// <summary>The values as pairs of 32-bit words.</summary>
    internal Tensor Words => _words;

    /// <summary>Copies the values to the host, waiting for pending work.</summary>
    public double[] ToArray()
    {
        var values = new double[Count];
        Device.Backend.Download(_words, MemoryMarshal.Cast<double, float>(values.AsSpan()));
        return values;
    }

    /// <summary>Overwrites the values from the host.</summary>
    /// <param name="values">[Rows, Columns], row-major.</param>
    /// <exception cref="ShapeException">The number of values differs.</exception>
    public void CopyFrom(ReadOnlySpan<double> values)
    {
        Check.That(values.Length == Count, nameof(values), values.Length, $"{Count} values");
        Device.Backend.Upload(MemoryMarshal.Cast<double, float>(values), _words);
    }

    /// <summary>The first rows: they share this matrix's memory, live as long as it does and need no disposing.</summary>
    /// <param name="rows">1 to <see cref="Rows"/>.</param>
    /// <exception cref="ShapeException">There are not as many rows.</exception>
    public Matrix First(int rows)
    {
        Check.That(rows >= 1 && rows <= Rows, nameof(rows), rows, $"1 to {Rows}");
        return new Matrix(Device, rows, Columns, new Tensor(Device, [rows, Columns, 2], _words.Storage.Slice(0, 2L * rows * Columns)));
    }

    /// <summary>this = alpha · op(a) · op(b) + beta · addend + gamma · I.</summary>
    /// <param name="a">[Rows, K]; stored [K, Rows] where <paramref name="transposeA"/>. Not this matrix.</param>
    /// <param name="b">[K, Columns]; stored [Columns, K] where <paramref name="transposeB"/>. Not this matrix.</param>
    /// <param name="transposeA">Multiply by the transpose of a.</param>
    /// <param name="transposeB">Multiply by the transpose of b.</param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="addend">[Rows, Columns], may be this matrix; null for none.</param>
    /// <param name="beta">Factor of the addend.</param>
    /// <param name="gamma">Added along the diagonal.</param>
    /// <param name="symmetric">The caller knows the result to be symmetric: one half is computed, the other is its mirror image.</param>
    /// <exception cref="ShapeException">Extents differ, or a symmetric result would not be square.</exception>
    public void SetProduct(Matrix a, Matrix b, bool transposeA = false, bool transposeB = false, double alpha = 1, Matrix? addend = null,
        double beta = 0, double gamma = 0, bool symmetric = false)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        int k = transposeA ? a.Rows : a.Columns;
        Check.That(a != this && b != this, "this", "an operand", "a matrix other than both operands");
        Check.That((transposeA ? a.Columns : a.Rows) == Rows, nameof(a), Extents(a), $"{Rows} rows, transposed: {transposeA}");
        Check.That((transposeB ? b.Rows : b.Columns) == Columns, nameof(b), Extents(b), $"{Columns} columns, transposed: {transposeB}");
        Check.That((transposeB ? b.Columns : b.Rows) == k, nameof(b), Extents(b), $"an inner extent of {k}, as {Extents(a)} has");
        Check.That(addend is null || (addend.Rows == Rows && addend.Columns == Columns), nameof(addend),
            addend is null ? "" : Extents(addend), Extents(this));
        Check.That(!symmetric || Rows == Columns, nameof(symmetric), Extents(this), "a square result");
        var shape = new MatrixProductShape(Rows, Columns, k, transposeA, transposeB, alpha, addend is null ? 0 : beta, gamma, symmetric);
        Device.Backend.MatrixProduct(shape, a, b, addend, this);
    }

    /// <summary>Overwrites this matrix with its Cholesky factor L, lower triangular with zeros above: this = L · Lᵀ. Waits.</summary>
    /// <returns>False where the matrix is not positive definite to rounding; its values are then undefined.</returns>
    /// <exception cref="ShapeException">The matrix is not square.</exception>
    /// <remarks>Only the part on and below the diagonal is read.</remarks>
    public bool TryCholesky()
    {
        Check.That(Rows == Columns, "this", Extents(this), "a square matrix");
        Device.Backend.MatrixCholesky(this);
        return double.IsFinite(Trace());
    }

    /// <summary>Copies rows of a tensor into rows of this matrix.</summary>
    /// <param name="source">[.., Columns].</param>
    /// <param name="firstSource">First row taken.</param>
    /// <param name="first">First row written.</param>
    /// <param name="count">Rows, at least 1.</param>
    /// <exception cref="ShapeException">The columns differ, or a row lies outside.</exception>
    public void SetRows(Tensor source, int firstSource, int first, int count)
    {
        ArgumentNullException.ThrowIfNull(source);
        Check.That(source.Shape.Rank > 0 && source.Shape[^1] == Columns, nameof(source), source.Shape, $"[.., {Columns}]");
        Check.That(firstSource >= 0 && count >= 1 && firstSource + count <= source.Count / Columns, nameof(firstSource), firstSource,
            $"{count} rows of {source.Count / Columns}");
        Check.That(first >= 0 && first + count <= Rows, nameof(first), first, $"{count} rows of {Rows}");
        Device.Backend.MatrixWiden(source, (long)firstSource * Columns, (long)first * Columns, (long)count * Columns, this);
    }

    /// <summary>target = factor · this, rounded to 32 bits.</summary>
    /// <param name="target">As many values.</param>
    /// <param name="factor">Multiplied before rounding.</param>
    /// <exception cref="ShapeException">The number of values differs.</exception>
    public void RoundTo(Tensor target, double factor = 1)
    {
        ArgumentNullException.ThrowIfNull(target);
        Check.That(target.Count == Count, nameof(target), target.Shape, $"{Count} values");
        Device.Backend.MatrixRound(this, factor, target);
    }

    /// <summary>Σ this[i,j] · other[i,j], the inner product of Frobenius.</summary>
    /// <exception cref="ShapeException">Extents differ.</exception>
    public double Dot(Matrix other)
    {
        ArgumentNullException.ThrowIfNull(other);
        Check.That(other.Rows == Rows && other.Columns == Columns, nameof(other), Extents(other), Extents(this));
        return Reduced(other, Count, 1);
    }

    /// <summary>√ Σ this[i,j]², the norm of Frobenius.</summary>
    public double Norm() => Math.Sqrt(Dot(this));

    /// <summary>Σ this[i,i].</summary>
    /// <exception cref="ShapeException">The matrix is not square.</exception>
    public double Trace()
    {
        Check.That(Rows == Columns, "this", Extents(this), "a square matrix");
        return Reduced(null, Rows, Columns + 1);
    }

    /// <summary>Returns the memory.</summary>
    public void Dispose() => _words.Dispose();

    private double Reduced(Matrix? other, long count, int step)
    {
        using var sum = new Matrix(Device, 1, 1);
        Device.Backend.MatrixSum(this, other, count, step, sum);
        return sum.ToArray()[0];
    }

    private static string Extents(Matrix matrix) => $"[{matrix.Rows}, {matrix.Columns}]";
}

/// <summary>One matrix product: C [M,N] = Alpha · op(A) · op(B) + Beta · addend + Gamma · I.</summary>
internal readonly record struct MatrixProductShape(int M, int N, int K, bool TransposeA, bool TransposeB, double Alpha, double Beta,
    double Gamma, bool Symmetric);

using MathNet.Numerics.LinearAlgebra;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Eigenvalues and Cholesky factors against MathNet and against matrices of known spectrum.</summary>
public sealed class SymmetricMatrixTests
{
    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(31)]
    [TestCase(33)]
    [TestCase(64)]
    [TestCase(65)]
    [TestCase(150)]
    [TestCase(223)]
    public void Eigenvalues_match_MathNet_when_values_are_random(int n)
    {
        double[] matrix = Symmetric(n, seed: n);
        var decomposition = Matrix<double>.Build.DenseOfRowMajor(n, n, matrix).Evd(Symmetricity.Symmetric);
        double[] expected = [.. decomposition.EigenValues.Select(value => value.Real).Order()];
        double[] found = SymmetricMatrix.Eigenvalues(BelowDiagonal(matrix, n), n);
        Assert.That(found, Is.EqualTo(expected).Within(1e-13 * n));
    }

    /// <summary>The second difference matrix: 2 − 2 cos(k π / (n + 1)).</summary>
    [TestCase(700)]
    public void Eigenvalues_are_the_known_ones_when_they_crowd(int n)
    {
        double[] orthogonal = Reflection(n), matrix = new double[n * n];
        for (int i = 0; i < n; i++)
        {
            matrix[i * (n + 1)] = 2;
            if (i > 0)
                matrix[(i * n) + i - 1] = matrix[((i - 1) * n) + i] = -1;
        }
        double[] dense = Congruent(matrix, orthogonal, n);
        double[] expected = [.. Enumerable.Range(1, n).Select(k => 2 - (2 * Math.Cos(k * Math.PI / (n + 1))))];
        Assert.That(SymmetricMatrix.Eigenvalues(dense, n), Is.EqualTo(expected).Within(1e-12));
    }

    [Test]
    public void Eigenvalues_are_exact_when_the_matrix_is_diagonal_zero_or_has_equal_values()
    {
        Assert.That(SymmetricMatrix.Eigenvalues(new double[9], 3), Is.EqualTo(new double[] { 0, 0, 0 }));
        Assert.That(SymmetricMatrix.Eigenvalues([3, 0, 0, 0, -1e200, 0, 0, 0, 1e-9], 3),
            Is.EqualTo(new[] { -1e200, 1e-9, 3 }).Within(2).Ulps);
        const int N = 40;
        double[] ones = Enumerable.Repeat(1.0, N * N).ToArray();
        double[] found = SymmetricMatrix.Eigenvalues(ones, N);
        Assert.That(found[^1], Is.EqualTo(N).Within(1e-12));
        Assert.That(found[..^1], Is.All.EqualTo(0).Within(1e-12));
    }

    [Test]
    public void Eigenvalues_are_the_same_bits_for_any_number_of_threads()
    {
        const int N = 300;
        int before = ForkJoinPool.Threads;
        try
        {
            ForkJoinPool.Threads = 1;
            double[] one = SymmetricMatrix.Eigenvalues(Symmetric(N, 5), N);
            ForkJoinPool.Threads = 3;
            Assert.That(SymmetricMatrix.Eigenvalues(Symmetric(N, 5), N), Is.EqualTo(one));
        }
        finally
        {
            ForkJoinPool.Threads = before;
        }
    }

    [Test]
    public void Eigenvalues_refuse_values_that_are_not_finite()
        => Assert.That(() => SymmetricMatrix.Eigenvalues([1, 0, double.NaN, 1], 2),
            Throws.ArgumentException.With.Message.Contains("row 1"));

    [TestCase(1)]
    [TestCase(5)]
    [TestCase(64)]
    [TestCase(65)]
    [TestCase(131)]
    [TestCase(400)]
    public void Cholesky_factor_gives_the_matrix_back(int n)
    {
        double[] matrix = Definite(n, seed: n), factor = BelowDiagonal(matrix, n);
        Assert.That(SymmetricMatrix.TryCholesky(factor, n), Is.True);
        var lower = Matrix<double>.Build.DenseOfRowMajor(n, n, factor);
        Assert.That(((lower * lower.Transpose()) - Matrix<double>.Build.DenseOfRowMajor(n, n, matrix)).FrobeniusNorm(),
            Is.LessThan(1e-13 * n));
        Assert.That(lower.StrictlyUpperTriangle().FrobeniusNorm(), Is.Zero);
    }

    [Test]
    public void Cholesky_says_no_when_the_matrix_is_indefinite_singular_or_not_finite()
    {
        Assert.That(SymmetricMatrix.TryCholesky([1, 0, 2, 1], 2), Is.False);
        Assert.That(SymmetricMatrix.TryCholesky([0], 1), Is.False);
        Assert.That(SymmetricMatrix.TryCholesky([double.NaN], 1), Is.False);
        Assert.That(SymmetricMatrix.TryCholesky([1, 0, double.PositiveInfinity, 1], 2), Is.False);
        double[] late = Definite(200, 3);
        late[(150 * 200) + 150] = -1;
        Assert.That(SymmetricMatrix.TryCholesky(late, 200), Is.False);
    }

    /// <summary>Guards what is read: the part above the diagonal is NaN.</summary>
    private static double[] BelowDiagonal(double[] matrix, int n)
        => [.. matrix.Select((value, i) => i % n > i / n ? double.NaN : value)];

    private static double[] Symmetric(int n, int seed)
    {
        var key = new RandomKey((ulong)seed, 0, 0);
        var matrix = new double[n * n];
        for (int row = 0; row < n; row++)
        {
            for (int column = 0; column <= row; column++)
                matrix[(row * n) + column] = matrix[(column * n) + row] = Philox.Uniform(key, 0, (uint)((row * n) + column)) - 0.5;
        }
        return matrix;
    }

    private static double[] Definite(int n, int seed)
    {
        double[] matrix = Symmetric(n, seed);
        for (int i = 0; i < n; i++)
            matrix[i * (n + 1)] += n;
        return matrix;
    }

    /// <summary>I − 2 u uᵀ for a unit vector u.</summary>
    private static double[] Reflection(int n)
    {
        double[] u = [.. Enumerable.Range(0, n).Select(i => Math.Sin(i + 1))];
        double square = u.Sum(x => x * x);
        return [.. Enumerable.Range(0, n * n).Select(i => (i / n == i % n ? 1 : 0) - (2 * u[i / n] * u[i % n] / square))];
    }

    private static double[] Congruent(double[] matrix, double[] orthogonal, int n)
    {
        using var device = Device.Open("cpu");
        using Matrix q = new(device, n, n, orthogonal), m = new(device, n, n, matrix), qm = new(device, n, n), dense = new(device, n, n);
        qm.SetProduct(q, m);
        dense.SetProduct(qm, q, transposeB: true, symmetric: true);
        return dense.ToArray();
    }
}

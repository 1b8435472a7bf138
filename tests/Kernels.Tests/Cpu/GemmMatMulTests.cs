namespace Diffusion.Gpu.Kernels.Tests;

[NonParallelizable]
public sealed unsafe class GemmMatMulTests
{
    // Batch, M, N, K
    private static readonly int[][] Sizes =
    [
        [1, 1, 1, 1],
        [3, 5, 7, 3],
        [1, 6, 64, 64],
        [2, 7, 65, 63],
        [5, 32, 32, 67],
        [1, 3, 17, 300],
        [1, 130, 5, 17],
        [17, 16, 16, 32],
        [1, 100, 129, 1000],
        [2, 4, 3, 0],
    ];

    [Test]
    public void MatMul_matches_reference(
        [ValueSource(nameof(Sizes))] int[] size, [Values] bool transposeA, [Values] bool transposeB, [Values] bool accumulate)
    {
        var s = new MatMulShape(size[0], size[1], size[2], size[3], transposeA, transposeB);
        float[] a = GemmReference.Random(s.Batch * s.M * s.K, 1), b = GemmReference.Random(s.Batch * s.K * s.N, 2);
        float[] before = GemmReference.Random(s.Batch * s.M * s.N, 3);
        using var c = accumulate ? new GuardedBuffer(before) : new GuardedBuffer(before.Length);
        fixed (float* pa = a, pb = b)
            GemmMatMul.Run(s, pa, pb, c.Pointer, accumulate);

        double[] expected = Reference(s, a, b);
        for (int i = 0; accumulate && i < expected.Length; i++)
            expected[i] += before[i];
        GemmReference.AssertClose(c.Values, expected, s.K);
        c.AssertGuardsIntact();
    }

    [Test]
    public void MatMul_gives_the_same_bits_for_one_thread_and_for_five(
        [ValueSource(nameof(Sizes))] int[] size, [Values] bool transposeA, [Values] bool transposeB)
    {
        var s = new MatMulShape(size[0], size[1], size[2], size[3], transposeA, transposeB);
        float[] a = GemmReference.Random(s.Batch * s.M * s.K, 1), b = GemmReference.Random(s.Batch * s.K * s.N, 2);
        float[] alone = new float[s.Batch * s.M * s.N], shared = new float[alone.Length];
        int threads = ForkJoinPool.Threads;
        try
        {
            fixed (float* pa = a, pb = b, pAlone = alone, pShared = shared)
            {
                ForkJoinPool.Threads = 1;
                GemmMatMul.Run(s, pa, pb, pAlone, accumulate: false);
                ForkJoinPool.Threads = 5;
                GemmMatMul.Run(s, pa, pb, pShared, accumulate: false);
            }
        }
        finally
        {
            ForkJoinPool.Threads = threads;
        }

        Assert.That(shared, Is.EqualTo(alone));
    }

    [Test]
    public void ColumnSum_matches_reference(
        [Values(0, 1, 64, 65, 1000)] int rows, [Values(1, 3, 63, 65)] int columns, [Values] bool accumulate)
    {
        float[] x = GemmReference.Random(rows * columns, 1), before = GemmReference.Random(columns, 2);
        using var sum = accumulate ? new GuardedBuffer(before) : new GuardedBuffer(columns);
        fixed (float* px = x)
            GemmColumnSum.Run(rows, columns, px, sum.Pointer, accumulate);

        double[] expected = new double[columns];
        for (int i = 0; i < x.Length; i++)
            expected[i % columns] += x[i];
        for (int c = 0; accumulate && c < columns; c++)
            expected[c] += before[c];
        // Blocks of 64 rows are summed in single precision; their errors are independent.
        GemmReference.AssertClose(sum.Values, expected, terms: (int)(64 * Math.Max(1, Math.Sqrt(rows / 64.0))));
        sum.AssertGuardsIntact();
    }

    private static double[] Reference(MatMulShape s, float[] a, float[] b)
    {
        double[] c = new double[s.Batch * s.M * s.N];
        for (int i = 0; i < c.Length; i++)
        {
            int batch = i / (s.M * s.N), m = i / s.N % s.M, n = i % s.N;
            for (int k = 0; k < s.K; k++)
            {
                float x = a[(batch * s.M * s.K) + (s.TransposeA ? (k * s.M) + m : (m * s.K) + k)];
                float y = b[(batch * s.K * s.N) + (s.TransposeB ? (n * s.K) + k : (k * s.N) + n)];
                c[i] += (double)x * y;
            }
        }

        return c;
    }
}

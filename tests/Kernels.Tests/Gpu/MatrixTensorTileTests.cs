using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Products in double precision by matrix instructions, emulated where the device has none or slow ones.</summary>
[TestFixtureSource(nameof(Gpus))]
public sealed class MatrixTensorTileTests(string id)
{
    private MatrixStrategy _chosen;

    private static IEnumerable<string> Gpus => TestDevices.Fast.Where(id => id != "cpu" && TestDevices.Open(id).Float64Rate > 0);

    private GpuBackend Backend => (GpuBackend)TestDevices.Open(id).Backend;

    private static IEnumerable<object[]> Shapes =>
        from size in new[] { (1, 1, 1), (5, 7, 3), (64, 64, 16), (65, 66, 17), (129, 33, 131), (1, 130, 40) }
        from order in new[] { (false, false), (true, false), (false, true), (true, true) }
        select new object[] { size.Item1, size.Item2, size.Item3, order.Item1, order.Item2 };

    [SetUp]
    public void UseMatrixInstructions()
    {
        _chosen = Backend.MatrixStrategy;
        if (_chosen == MatrixStrategy.Portable)
            Backend.MatrixStrategy = MatrixStrategy.Emulated;
    }

    [TearDown]
    public void LetTheDeviceChoose() => Backend.MatrixStrategy = _chosen;

    [TestCaseSource(nameof(Shapes))]
    public void Product_matches_reference(int m, int n, int k, bool transposeA, bool transposeB)
    {
        double[] a = Numbers(m * k, 1), b = Numbers(k * n, 2), c = Numbers(m * n, 3);
        using Matrix left = new(Backend.Device, transposeA ? k : m, transposeA ? m : k, a);
        using Matrix right = new(Backend.Device, transposeB ? n : k, transposeB ? k : n, b);
        using Matrix result = new(Backend.Device, m, n, c);
        result.SetProduct(left, right, transposeA, transposeB, alpha: -1.5, addend: result, beta: 0.5, gamma: 2);
        double[] got = result.ToArray();
        for (int i = 0; i < got.Length; i++)
        {
            int row = i / n, column = i % n;
            double sum = 0, magnitude = 1;
            for (int p = 0; p < k; p++)
            {
                double term = a[transposeA ? (p * m) + row : (row * k) + p] * b[transposeB ? (column * k) + p : (p * n) + column];
                sum += term;
                magnitude += Math.Abs(term);
            }
            Assert.That(got[i], Is.EqualTo((-1.5 * sum) + (0.5 * c[i]) + (row == column ? 2 : 0)).Within(1e-15 * k * magnitude),
                $"[{row}, {column}]");
        }
        OpChecks.AssertNoStrayWrites(Backend.Device);
    }

    /// <summary>Half of the tiles are made and stored twice.</summary>
    [TestCase(1, 3)]
    [TestCase(64, 5)]
    [TestCase(65, 16)]
    [TestCase(200, 33)]
    public void Symmetric_result_is_symmetric_to_the_bit_and_that_of_the_whole_product(int n, int k)
    {
        using Matrix x = new(Backend.Device, k, n, Numbers(k * n, 4)), half = new(Backend.Device, n, n), whole = new(Backend.Device, n, n);
        half.SetProduct(x, x, transposeA: true, symmetric: true);
        whole.SetProduct(x, x, transposeA: true);
        Assert.That(half.ToArray(), Is.EqualTo(whole.ToArray()));
        OpChecks.AssertNoStrayWrites(Backend.Device);
    }

    [Test]
    public void A_device_without_fast_matrix_instructions_keeps_the_portable_tile()
    {
        if (id.StartsWith("cuda", StringComparison.Ordinal))
            Assert.Ignore("chosen by the chip");
        Assert.That(_chosen, Is.EqualTo(MatrixStrategy.Portable));
    }

    private static double[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextDouble()) - 1)];
    }
}

using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Convolution and matrix product by a warpgroup's instructions: those of the device where it has them, else emulated ones, which
/// read shared memory by descriptors. Every shape is compared with double precision from inputs that are rounded the same way.</summary>
/// <remarks>In TF32 an operand whose depth lies in rows has no such instruction: filter gradients come from the other
/// tiles, in BF16 from a warpgroup's.</remarks>
[TestFixtureSource(typeof(TileGemmTests), nameof(TileGemmTests.Gpus))]
public sealed class WarpgroupTileTests(string id, Precision precision)
{
    private const double Tolerance = 3e-6;

    private Device Opened => TestDevices.Open(id, precision);

    private GpuBackend Backend => (GpuBackend)Opened.Backend;

    /// <summary>One and two past a tile and past the 64 lines of an instruction, whole tiles, parts of one, depths of less than a step and
    /// of many stages.</summary>
    private static IEnumerable<TestCaseData> Convolutions => TileGemmTests.Named(
    [
        new(1, 13, 5, 64, 64, 1, 1, 1, 0, 0),
        new(1, 8, 8, 16, 16, 3, 3, 1, 1, 1),
        new(1, 3, 43, 12, 132, 3, 3, 1, 1, 1),
        new(2, 8, 8, 128, 128, 1, 1, 1, 0, 0),
        new(1, 10, 13, 20, 68, 3, 3, 2, 1, 1),
        new(1, 1, 1, 4, 4, 1, 1, 1, 0, 0),
        new(1, 6, 22, 80, 4, 1, 7, 1, 0, 3),
        new(2, 13, 10, 36, 256, 2, 2, 2, 0, 0),
    ]);

    [OneTimeSetUp]
    public void NeedWarpgroups()
    {
        if (!Backend.CanUseWarpgroups)
            Assert.Ignore($"{id} has tensor cores, but no instructions of warpgroups: those are of compute capability 9.0 alone");
    }

    [TearDown]
    public void LetTilesBeChosen() => Backend.OnlyTile = null;

    [TestCaseSource(nameof(Convolutions))]
    public void Convolution_and_gradients_match_reference(Conv2DShape s)
    {
        var data = new ConvolutionData(Opened, s);
        Backend.OnlyTile = TileChoice.Warpgroups[0];
        data.AssertMatches(Tolerance);
    }

    [TestCase(1, 65, 64, 16)]
    [TestCase(2, 129, 132, 36)]
    [TestCase(1, 128, 128, 128)]
    [TestCase(1, 4, 8, 4)]
    public void Matrix_products_match_reference(int batch, int m, int n, int k)
    {
        // Depth in the columns of both operands, in the rows of both, and in the rows of one.
        AssertProduct<ColumnsAreDepth, ColumnsAreDepth>(TileChoice.Warpgroups[0], new MatMulShape(batch, m, n, k, false, true));
        AssertProduct<RowsAreDepth, RowsAreDepth>(TileChoice.Warpgroups[0], new MatMulShape(batch, m, n, k, true, false));
        AssertProduct<RowsAreDepth, ColumnsAreDepth>(TileChoice.Warpgroups[0], new MatMulShape(batch, m, n, k, true, true));
        AssertProduct<ColumnsAreDepth, RowsAreDepth>(TileChoice.Warpgroups[0], new MatMulShape(batch, m, n, k, false, false));
    }

    [Test]
    public void Narrow_tiles_match_reference()
    {
        AssertProduct<ColumnsAreDepth, ColumnsAreDepth>(TileChoice.Warpgroups[1], new MatMulShape(2, 129, 68, 36, false, true));
        AssertProduct<RowsAreDepth, RowsAreDepth>(TileChoice.Warpgroups[1], new MatMulShape(2, 129, 68, 36, true, false));
    }

    /// <summary>The other tiles, which these would be, have their own tests.</summary>
    private void AssertProduct<TLeftOrder, TRightOrder>(TileSize tile, MatMulShape s)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        if (!WarpgroupDescriptor.Reads<TLeftOrder, TRightOrder>(precision))
            return;
        float[] a = TileGemmTests.Numbers(s.Batch * s.M * s.K, 1), b = TileGemmTests.Numbers(s.Batch * s.K * s.N, 2);
        using Tensor left = Opened.NewTensor([a.Length], a), right = Opened.NewTensor([b.Length], b);
        using var c = Opened.NewTensor([s.Batch * s.M * s.N], new float[s.Batch * s.M * s.N]);
        Backend.OnlyTile = tile;
        Backend.MatMul(s, left, right, new GradientTarget(c, false));
        Backend.MatMul(s, left, right, new GradientTarget(c, true));
        TileGemmTests.AssertProduct(precision, s, a, b, c.ToArray());
        OpChecks.AssertNoStrayWrites(Opened);
    }

    [Test]
    public void Sums_have_the_same_bits_when_computed_again()
    {
        var data = new ConvolutionData(Opened, new Conv2DShape(1, 10, 13, 20, 68, 3, 3, 1, 1, 1));
        Backend.OnlyTile = TileChoice.Warpgroups[0];
        float[][] first = data.AssertMatches(Tolerance);
        Assert.That(data.Run(), Is.EqualTo(first));
    }
}

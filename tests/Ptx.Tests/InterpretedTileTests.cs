using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Convolutions, their gradients and matrix products by the PTX of every tensor-core tile, against textbook loops.</summary>
/// <remarks>Inputs are small whole numbers without zero: TF32 and BF16 hold them, so products and sums are exact, and a term that is wrong,
/// missing or doubled shows as at least 1 where nothing bends the sums.</remarks>
[TestFixture(Precision.Tf32)]
[TestFixture(Precision.Bf16)]
public sealed class InterpretedTileTests(Precision precision)
{
    private Device _device = null!;

    [OneTimeSetUp]
    public void Open() => _device = InterpretedDevice.Open(precision);

    [OneTimeTearDown]
    public void Close() => _device.Dispose();

    /// <summary>Values of a case times values of a tile: beyond, it takes seconds.</summary>
    private const long MostWork = 300_000_000;

    /// <summary>All cases with the small tile, a quarter of them with each of the others, of which every group takes longer.</summary>
    private static IEnumerable<TestCaseData> Cases =>
        from tile in TileChoice.AllAndWarpgroups.Index()
        from opCase in Catalogue.Conv2D.Concat(Catalogue.MatMul).Index()
        where tile.Item == TileSize.Of<Tile64x64>() || opCase.Index % 4 == tile.Index % 4
        where opCase.Item.Inputs.Sum(input => input.Shape.Count) << (tile.Item.LineShift + tile.Item.ColumnShift) <= MostWork
        select new TestCaseData(tile.Item, opCase.Item).SetArgDisplayNames(
            $"{1 << tile.Item.LineShift}x{1 << tile.Item.ColumnShift}{(tile.Item.IsWarpgroup ? " of a warpgroup" : "")}", opCase.Item.Name);

    [TestCaseSource(nameof(Cases))]
    public void Tile_sums_every_product_once(object tile, OpCase opCase)
    {
        ((GpuBackend)_device.Backend).OnlyTile = (TileSize)tile;
        Assert.That(new WholeNumberCase(opCase).Fault(_device), Is.Null);
    }
}

using Diffusion.Gpu.Benchmarks;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>The roofline sheet's formulas beside cases counted by hand.</summary>
public sealed class ProductCostTests
{
    private static readonly GpuRoof Roof = new("of the test", Multiprocessors: 10, Tf32: 1e9, Bf16: 2e9, Bandwidth: 1e6);

    /// <summary>200 × 100 × 50 in tiles of 128 × 64 and stages of 16: 2 × 2 tiles of 4 stages.</summary>
    private static readonly ProductCost Product = new(
        new TileLaunch(new TileProduct(Precision.Tf32, "", 200, 100, 50, 1), new TileSize(7, 6, 16), Split: false, OperandBytes: 60_000),
        ElementBytes: 4);

    [Test]
    public void Operations_count_two_a_multiply_add() => Assert.That(Product.Flop, Is.EqualTo(2_000_000));

    [Test]
    public void Least_bytes_are_operands_and_result() => Assert.That(Product.LeastBytes, Is.EqualTo(60_000 + 80_000));

    [Test]
    public void Moved_bytes_are_those_of_every_tile_and_the_result()
        => Assert.That(Product.MovedBytes, Is.EqualTo((4 * 4 * 16 * 4 * (128 + 64)) + 80_000));

    [Test]
    public void A_wave_has_as_many_groups_as_the_device_holds()
    {
        Assert.That(Product.Waves(Roof, 2), Is.EqualTo(1));
        Assert.That((Product with { Launch = Product.Launch with { Product = Product.Launch.Product with { Slices = 6 } } }).Waves(Roof, 2),
            Is.EqualTo(2), "24 groups on 20 places");
    }

    [Test]
    public void Time_is_that_of_the_busiest_multiprocessor_or_of_memory()
    {
        // One tile on a tenth of the device: 2·64·128·64 operations. Beside it 140,000 bytes.
        var wide = Roof with { Bandwidth = 1e9 };
        const double Tile = 2 * 64 * 128 * 64;
        Assert.That(Product.Seconds(Roof), Is.EqualTo(0.14).Within(1e-12));
        Assert.That(Product.Seconds(wide), Is.EqualTo(10 * Tile / 1e9).Within(1e-12));
        Assert.That((Product with { ElementBytes = 2 }).Seconds(wide), Is.EqualTo(10 * Tile / 2e9).Within(1e-12));
        Assert.That((Product with { Launch = Product.Launch with { Product = Product.Launch.Product with { Slices = 3 } } }).Seconds(wide),
            Is.EqualTo(2 * 10 * Tile / 1e9).Within(1e-12), "12 tiles on 10 multiprocessors");
    }

    /// <summary>500 terms are eight units of 64, in three parts of three: 192 terms, twelve stages. 98 columns are stored as 100.</summary>
    [Test]
    public void Parts_of_a_sum_share_its_depth_and_are_written_and_read()
    {
        const double Parts = 3 * 200 * 100 * 4, Result = 200 * 98 * 4;
        var split = new ProductCost(
            new TileLaunch(new TileProduct(Precision.Tf32, "", 200, 98, 500, 3), new TileSize(7, 6, 16), Split: true, 60_000), 4);
        Assert.That(split.Flop, Is.EqualTo(2 * 200 * 98 * 500));
        Assert.That(split.LeastBytes, Is.EqualTo(60_000 + Result));
        Assert.That(split.MovedBytes, Is.EqualTo((12 * 12 * 16 * 4 * (128 + 64)) + (2 * Parts) + Result));
        Assert.That(split.Seconds(Roof), Is.EqualTo((60_000 + Parts) / 1e6).Within(1e-12));
        Assert.That(split.SumSeconds(Roof), Is.EqualTo((Parts + Result) / 1e6).Within(1e-12));
    }

    [Test]
    public void The_floor_knows_no_tiles()
    {
        Assert.That(Product.FloorSeconds(Roof), Is.EqualTo(0.14).Within(1e-12));
        Assert.That(Product.FloorSeconds(Roof with { Bandwidth = 1e9 }), Is.EqualTo(2_000_000 / 1e9).Within(1e-12));
        Assert.That(Product.SumSeconds(Roof), Is.Zero);
    }
}

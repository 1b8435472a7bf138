namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Into how many parts sums are split.</summary>
public sealed class DepthSplitTests
{
    [TestCase(256, 512, 4_608, ExpectedResult = 8, TestName = "Few_pixels_of_many_channels_are_split")]
    [TestCase(128, 512, 16_384, ExpectedResult = 16, TestName = "The_longer_a_sum_the_more_parts")]
    [TestCase(16, 256, 256, ExpectedResult = 1, TestName = "A_short_sum_costs_less_than_a_launch")]
    [TestCase(16_384, 64, 576, ExpectedResult = 1, TestName = "A_device_that_is_full_needs_no_parts")]
    [TestCase(4_096, 128, 2_304, ExpectedResult = 1, TestName = "A_device_that_is_nearly_full_needs_no_parts")]
    [TestCase(512, 4_608, 256, ExpectedResult = 1, TestName = "A_large_filter_is_not_split")]
    [TestCase(64, 64, 64, ExpectedResult = 1, TestName = "A_single_unit_is_not_split")]
    [TestCase(1, 1, 0, ExpectedResult = 1, TestName = "An_empty_sum_is_not_split")]
    public int Parts_are_those_that_cost_least(int lines, int columns, int depth) => DepthSplit.Parts(lines, columns, depth);

    [Test]
    public void Parts_are_whole_stages_and_none_is_empty()
    {
        Assert.That(TileChoice.All.Append(TileSize.Portable).Select(tile => DepthSplit.Unit % tile.StageDepth), Is.All.Zero);
        var random = new Random(1);
        int split = 0;
        for (int i = 0; i < 2_000; i++)
        {
            int lines = Extent(12), columns = Extent(11), depth = Extent(17);
            int parts = DepthSplit.Parts(lines, columns, depth), ofPart = DepthSplit.DepthOfPart(depth, parts);
            split += parts > 1 ? 1 : 0;
            Assert.That(ofPart % DepthSplit.Unit, Is.Zero);
            Assert.That(((long)parts * ofPart >= depth) && ((parts - 1L) * ofPart < depth),
                $"{lines} x {columns} x {depth}: {parts} x {ofPart}");
        }
        Assert.That(split, Is.InRange(200, 1_800));

        int Extent(int bits) => 1 + (int)Math.Pow(2, bits * random.NextDouble());
    }
}

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Which tile a product gets.</summary>
public sealed class TileChoiceTests
{
    [TestCase(32_768, 256, 1, ExpectedResult = "128x128", TestName = "Large_tile_where_it_fills_a_device")]
    [TestCase(32_768, 64, 1, ExpectedResult = "128x64", TestName = "Tall_tile_for_64_columns")]
    [TestCase(32_768, 192, 1, ExpectedResult = "128x128", TestName = "Large_tile_although_it_computes_a_quarter_for_nothing")]
    [TestCase(32_768, 48, 1, ExpectedResult = "128x64", TestName = "Tall_tile_for_fewer_than_64_columns")]
    [TestCase(32_768, 1_000, 1, ExpectedResult = "128x128", TestName = "Large_tile_where_its_edge_is_short_beside_the_rest")]
    [TestCase(8_192, 256, 1, ExpectedResult = "128x128", TestName = "Large_tile_where_nearly_every_multiprocessor_has_one")]
    [TestCase(8_192, 128, 1, ExpectedResult = "128x64", TestName = "Tall_tile_where_large_ones_are_half_enough")]
    [TestCase(4_096, 128, 1, ExpectedResult = "64x64", TestName = "Small_tile_where_all_are_too_few")]
    [TestCase(1, 1, 1, ExpectedResult = "64x64", TestName = "Small_tile_for_a_single_value")]
    [TestCase(128, 1_152, 30, ExpectedResult = "128x128", TestName = "Large_tile_where_a_sum_can_be_split_into_parts_enough")]
    [TestCase(64, 576, 64, ExpectedResult = "64x64", TestName = "Small_tile_where_the_others_have_lines_past_the_edge")]
    public string For_weighs_edges_and_groups(int lines, int columns, int parts)
        => Name(TileChoice.For(lines, columns, parts));

    private static string Name(TileSize tile) => $"{1 << tile.LineShift}x{1 << tile.ColumnShift}";
}

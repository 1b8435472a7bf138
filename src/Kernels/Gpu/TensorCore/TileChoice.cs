namespace Diffusion.Gpu.Kernels;

/// <summary>Extents of a tile, for who launches it.</summary>
/// <param name="LineShift">log2 of its lines.</param>
/// <param name="ColumnShift">log2 of its columns.</param>
/// <param name="StageDepth">A split sum's parts are multiples of this.</param>
internal readonly record struct TileSize(int LineShift, int ColumnShift, int StageDepth)
{
    /// <summary>Of <see cref="ImplicitGemm"/>.</summary>
    public static TileSize Portable { get; } = new(ImplicitGemm.TileShift, ImplicitGemm.TileShift, ImplicitGemm.StageDepth);

    public static TileSize Of<TShape>()
        where TShape : struct, ITileShape
        => new(TShape.LineShift, TShape.ColumnShift, TileLayout.StageDepth);

    /// <summary>Tiles that cover a product.</summary>
    public long Count(int lines, int columns) => (long)Tiles(lines, LineShift) * Tiles(columns, ColumnShift);

    public static int Tiles(int extent, int shift) => (extent + (1 << shift) - 1) >> shift;
}

/// <summary>Which tile of <see cref="TileGemm"/> multiplies a shape: by no rule of the device, and all tiles give the same bits.</summary>
internal static class TileChoice
{
    /// <summary>Every tile.</summary>
    public static IReadOnlyList<TileSize> All { get; } =
        [TileSize.Of<Tile128x128>(), TileSize.Of<Tile128x64>(), TileSize.Of<Tile64x64>()];

    /// <summary>
    /// Groups that fill the largest devices: two for each of 132 multiprocessors. One group alone waits at every barrier; two take
    /// 256 × 2 × 128 registers and 96 KB, which every chip from compute capability 8.0 on has.
    /// </summary>
    private const int Fill = 264;

    /// <summary>The tile of a product, of which some parts may run side by side.</summary>
    /// <param name="lines">Rows of the result.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="parts">Matrices of a batch, or parts that a sum may be split into; at least 1.</param>
    /// <param name="isFourWide">Whether both operands are copied 16 bytes at a time.</param>
    public static TileSize For(int lines, int columns, long parts, bool isFourWide)
    {
        TileSize large = TileSize.Of<Tile128x128>(), tall = TileSize.Of<Tile128x64>(), small = TileSize.Of<Tile64x64>();
        // Copies of 4 bytes are four times as many: the small tile has eight places to keep for an operand, the others 16 and more.
        if (!isFourWide)
            return small;
        // A tile's edge is computed and dropped: 192 columns are three tiles of 64 but four halves of 128. The large tile copies two
        // thirds of the tall one's bytes for an operation, so it may drop up to a third.
        bool fills = parts * large.Count(lines, columns) >= Fill;
        if (fills && 2 * TileSize.Tiles(columns, large.ColumnShift) * 3 <= 4 * TileSize.Tiles(columns, tall.ColumnShift))
            return large;
        // Three quarters of the small tile's bytes for an operation, and half of its barriers; the small one where groups are too few.
        return parts * tall.Count(lines, columns) >= Fill ? tall : small;
    }
}

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
        => new(TShape.LineShift, TShape.ColumnShift, TileLayout.LineBytes / sizeof(ushort));

    /// <summary>Tiles that cover a product.</summary>
    public long Count(int lines, int columns) => (long)Tiles(lines, LineShift) * Tiles(columns, ColumnShift);

    public static int Tiles(int extent, int shift) => (extent + (1 << shift) - 1) >> shift;
}

/// <summary>Which tile of <see cref="TileGemm"/> multiplies a shape: by no rule of the device, and all tiles give the same bits.</summary>
internal static class TileChoice
{
    /// <summary>Groups below which some of the largest devices' 132 multiprocessors have nothing to do.</summary>
    private const int Fill = 132;

    /// <summary>
    /// Every tile, and what an output of it costs: instructions of the main loop for one matrix instruction, relative to the large tile's
    /// ten. Counted from the machine code of the forward convolution, where a stage has 169 instructions for 64 products, 125 for 32 and 91
    /// for 16: copies, fragment loads and barriers serve fewer products in a smaller tile.
    /// </summary>
    private static readonly (TileSize Tile, int Cost)[] Costs =
        [(TileSize.Of<Tile128x128>(), 10), (TileSize.Of<Tile128x64>(), 15), (TileSize.Of<Tile64x64>(), 22)];

    /// <summary>Every tile.</summary>
    public static IReadOnlyList<TileSize> All { get; } = [.. Costs.Select(entry => entry.Tile)];

    /// <summary>The tile of a product, of which some parts may run side by side.</summary>
    /// <param name="lines">Rows of the result.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="parts">Matrices of a batch, or parts that a sum may be split into; at least 1.</param>
    public static TileSize For(int lines, int columns, long parts)
    {
        var small = TileSize.Of<Tile64x64>();
        // What lies past the edges is computed and dropped: 64 columns are one tile of 64, but half of one of 128.
        // Where no tile gives groups enough, the small one gives the most.
        return Costs.Where(entry => parts * entry.Tile.Count(lines, columns) >= Fill)
            .OrderBy(entry => entry.Cost * (entry.Tile.Count(lines, columns) << (entry.Tile.LineShift + entry.Tile.ColumnShift)))
            .Select(entry => entry.Tile).FirstOrDefault(small);
    }
}

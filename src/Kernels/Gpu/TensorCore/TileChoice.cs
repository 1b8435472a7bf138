namespace Diffusion.Gpu.Kernels;

/// <summary>Extents of a tile, for who launches it.</summary>
/// <param name="LineShift">log2 of its lines.</param>
/// <param name="ColumnShift">log2 of its columns.</param>
/// <param name="StageDepth">Terms that it takes at a time, at most; divides <see cref="DepthSplit.Unit"/>.</param>
/// <param name="IsWarpgroup">Whether <see cref="WarpgroupTile{TShape, TElement}"/> multiplies, where it can.</param>
internal readonly record struct TileSize(int LineShift, int ColumnShift, int StageDepth, bool IsWarpgroup = false)
{
    /// <summary>Of <see cref="ImplicitGemm"/>.</summary>
    public static TileSize Portable { get; } = new(ImplicitGemm.TileShift, ImplicitGemm.TileShift, ImplicitGemm.StageDepth);

    public static TileSize Of<TShape>()
        where TShape : struct, ITileShape
        => new(TShape.LineShift, TShape.ColumnShift, TileLayout.LineBytes / sizeof(ushort));

    /// <summary>Tiles that cover a product.</summary>
    public long Count(long lines, int columns) => Tiles(lines, LineShift) * Tiles(columns, ColumnShift);

    public static int Tiles(int extent, int shift) => (extent + (1 << shift) - 1) >> shift;

    private static long Tiles(long extent, int shift) => (extent + (1 << shift) - 1) >> shift;
}

/// <summary>Which tile of <see cref="TileGemm"/> multiplies a shape: by no rule of the device, and all tiles that are counted give the same
/// bits.</summary>
internal static class TileChoice
{
    /// <summary>Multiprocessors of the largest devices.</summary>
    public const int Fill = 132;

    /// <summary>
    /// Every tile, and what an output of it costs: instructions of the main loop for one matrix instruction, relative to the large tile's
    /// ten. Counted from the machine code of the forward convolution, where a stage has 169 instructions for 64 products, 125 for 32 and 91
    /// for 16: copies, fragment loads and barriers serve fewer products in a smaller tile.
    /// </summary>
    private static readonly (TileSize Tile, int Cost)[] Costs =
        [(TileSize.Of<Tile128x128>(), 10), (TileSize.Of<Tile128x64>(), 15), (TileSize.Of<Tile64x64>(), 22)];

    /// <summary>Every tile that is chosen by count.</summary>
    public static IReadOnlyList<TileSize> All { get; } = [.. Costs.Select(entry => entry.Tile)];

    /// <summary>
    /// Tiles of a warpgroup, which only a measurement chooses. Nothing counts their instructions' time, and their sums may differ from the
    /// others' in the last bits.
    /// </summary>
    public static IReadOnlyList<TileSize> Warpgroups { get; } =
        [TileSize.Of<Tile128x128>() with { IsWarpgroup = true }, TileSize.Of<Tile128x64>() with { IsWarpgroup = true }];

    /// <summary>Every tile that a measurement chooses from where a warpgroup's instructions can do the product.</summary>
    public static IReadOnlyList<TileSize> AllAndWarpgroups { get; } = [.. All, .. Warpgroups];

    /// <summary>The tile of a product that keeps the busiest multiprocessor for the shortest time.</summary>
    /// <param name="lines">Rows of the result.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="slices">Matrices of a batch, or parts that a sum is split into; at least 1.</param>
    public static TileSize For(int lines, int columns, int slices)
        => Costs.MinBy(entry => Work(entry, lines, columns, slices)).Tile;

    /// <summary>
    /// What the busiest multiprocessor does for 64 terms of every sum, by the best tile: in tenths of 64 × 64 × 64 multiply-adds.
    /// </summary>
    /// <param name="lines">Rows of the result.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="slices">Matrices of a batch, or parts that a sum is split into; at least 1.</param>
    public static long LeastWork(long lines, int columns, int slices)
    {
        long least = long.MaxValue;
        foreach (var entry in Costs)
            least = Math.Min(least, Work(entry, lines, columns, slices));
        return least;
    }

    /// <summary>Tiles of the largest kind that cover a product.</summary>
    public static long Fewest(long lines, int columns) => Costs[0].Tile.Count(lines, columns);

    /// <remarks>What lies past the edges is computed and dropped: 64 columns are one tile of 64, but half of one of 128.</remarks>
    private static long Work((TileSize Tile, int Cost) entry, long lines, int columns, int slices)
    {
        long ofMultiprocessor = ((entry.Tile.Count(lines, columns) * slices) + Fill - 1) / Fill;
        return (ofMultiprocessor * entry.Cost) << (entry.Tile.LineShift + entry.Tile.ColumnShift - 12);
    }
}

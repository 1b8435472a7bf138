namespace Diffusion.Gpu.Kernels;

/// <summary>The extents of a tile, which four warps cover two by two. Extents are powers of two, 64 and more.</summary>
internal interface ITileShape
{
    /// <summary>log2 of the tile's lines.</summary>
    static abstract int LineShift { get; }

    /// <summary>log2 of the tile's columns.</summary>
    static abstract int ColumnShift { get; }

    /// <summary>
    /// Groups of this tile that a multiprocessor's 65,536 registers must hold. Without it the compiler may cut registers for one more, and
    /// keep values in memory instead.
    /// </summary>
    static abstract int LeastGroups { get; }
}

/// <summary>128 lines × 128 columns: warps of 64 × 64; 49,152 shared bytes. A fragment that is loaded is multiplied four times and more.
/// </summary>
internal struct Tile128x128 : ITileShape
{
    static int ITileShape.LineShift => 7;
    static int ITileShape.ColumnShift => 7;
    static int ITileShape.LeastGroups => 2;
}

/// <summary>128 lines × 64 columns: warps of 64 × 32; 36,864 shared bytes.</summary>
internal struct Tile128x64 : ITileShape
{
    static int ITileShape.LineShift => 7;
    static int ITileShape.ColumnShift => 6;
    static int ITileShape.LeastGroups => 3;
}

/// <summary>64 lines × 64 columns: warps of 32 × 32; 24,576 shared bytes.</summary>
internal struct Tile64x64 : ITileShape
{
    static int ITileShape.LineShift => 6;
    static int ITileShape.ColumnShift => 6;
    static int ITileShape.LeastGroups => 4;
}

/// <summary>What follows from a shape.</summary>
internal static class TileShape<TShape>
    where TShape : struct, ITileShape
{
    /// <summary>log2 of the lines of a warp.</summary>
    public static int LinesOfWarpShift => TShape.LineShift - 1;

    /// <summary>log2 of the columns of a warp.</summary>
    public static int ColumnsOfWarpShift => TShape.ColumnShift - 1;

    /// <summary>Fragments of 16 lines that a warp holds of the left operand: four registers each.</summary>
    public static int LeftFragments => 1 << (LinesOfWarpShift - 4);

    /// <summary>Fragments of 8 columns that a warp holds of the right operand: two registers each.</summary>
    public static int RightFragments => 1 << (ColumnsOfWarpShift - 3);

    /// <summary>Sums of each of a group's threads.</summary>
    public static int SumsOfLane => 1 << (TShape.LineShift + TShape.ColumnShift - TileLayout.ThreadShift);

    /// <summary>Bytes of the left operand's panel of a stage.</summary>
    public static int LeftBytes => TileLayout.LineBytes << TShape.LineShift;

    /// <summary>Bytes of one stage: the panel of the left operand, then that of the right one.</summary>
    public static int StageBytes => ((1 << TShape.LineShift) + (1 << TShape.ColumnShift)) * TileLayout.LineBytes;

    /// <summary>Bytes of all stages, which a group shares.</summary>
    public static int SharedBytes => StageBytes * TileLayout.Stages;
}

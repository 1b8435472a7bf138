using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Which lines and columns a lane works on where each warp multiplies by itself: four warps, two by two.</summary>
internal static class TileWarps<TShape, TElement>
    where TShape : struct, ITileShape
    where TElement : struct, ITileElement
{
    private static int Lane => Group.IdxX & 31;

    private static int RowOfWarps => Group.IdxX >> 6;

    private static int ColumnOfWarps => (Group.IdxX >> 5) & 1;

    /// <summary>Byte of a stage that this lane names for the left fragments.</summary>
    public static int LeftAddress<TOrder>()
        where TOrder : struct, IOperandOrder
        => TileLayout.LeftAddress<TElement, TOrder>(Lane, RowOfWarps << TileShape<TShape>.LinesOfWarpShift);

    /// <summary>The same for the right fragments.</summary>
    public static int RightAddress<TOrder>()
        where TOrder : struct, IOperandOrder
        => TileShape<TShape>.LeftBytes
            + TileLayout.RightAddress<TElement, TOrder>(Lane, ColumnOfWarps << TileShape<TShape>.ColumnsOfWarpShift);

    /// <summary>The float of shared memory where this lane's first pair of spilled sums goes: every warp spills 16 lines.</summary>
    public static int SpillWord<TOrder>()
        where TOrder : struct, IOperandOrder
        => (((RowOfWarps << 4) + TileLayout.SpillLine<TElement, TOrder>(Lane)) * TileLayout.SpillPitch<TShape, TElement, TOrder>())
            + (ColumnOfWarps << TileShape<TShape>.ColumnsOfWarpShift) + ((Lane & 3) << 1);

    /// <summary>The line of the tile that was spilled as line 0 … 31 of a part.</summary>
    public static int SpilledLine(int part, int line)
        => ((line >> 4) << TileShape<TShape>.LinesOfWarpShift) + (part << 4) + (line & 15);
}

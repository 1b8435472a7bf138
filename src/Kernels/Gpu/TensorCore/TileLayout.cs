namespace Diffusion.Gpu.Kernels;

/// <summary>Where values lie in the shared memory of a tile; the same on every device.</summary>
/// <remarks>A stage has 16 values of depth. A panel whose source has the depth in its columns is stored line by line, 64 bytes each; one
/// whose source has the depth in its rows is stored depth by depth. Either way a vector is copied as it lies in memory. The exclusive-or
/// on the 16-byte pieces takes the place of padding: fragment loads and copies touch every bank once (counted, not measured).</remarks>
internal static class TileLayout
{
    /// <summary>Values of depth in a stage.</summary>
    public const int StageDepth = 16;
    public const int StageDepthShift = 4;

    /// <summary>Bytes of depth in a stage.</summary>
    public const int LineBytes = StageDepth * sizeof(float);

    /// <summary>Bytes of depth that one step multiplies: 8 values.</summary>
    public const int HalfStageBytes = LineBytes / 2;

    /// <summary>Byte of a value in a panel that is stored line by line.</summary>
    public static int LineByLine(int line, int depth)
        => (line * LineBytes) + (((depth >> 2) ^ ((line >> 1) & 3)) << 4) + ((depth & 3) << 2);

    /// <summary>Byte of a value in a panel of 2^extentShift lines that is stored depth by depth.</summary>
    public static int DepthByDepth(int line, int depth, int extentShift)
        => (depth << (extentShift + 2)) + (((line >> 2) ^ ((depth & 3) << 1)) << 4) + ((line & 3) << 2);

    /// <summary>What a lane names for the left fragments of a warp's lines: row lane % 8 of matrix lane / 8, or its own word.</summary>
    public static int LeftAddress<TOrder>(int lane, int firstLine, int extentShift)
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? LineByLine(firstLine + (lane & 15), (lane >> 4) << 2)
            : DepthByDepth(firstLine + (lane >> 2), lane & 3, extentShift);

    /// <summary>The same for the right fragments of a warp's columns, two at a time where they are loaded as matrices.</summary>
    public static int RightAddress<TOrder>(int lane, int firstColumn, int extentShift)
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? LineByLine(firstColumn + (lane & 7) + ((lane >> 4) << 3), ((lane >> 3) & 1) << 2)
            : DepthByDepth(firstColumn + (lane >> 2), lane & 3, extentShift);

    /// <summary>Floats from one line of spilled sums to the next; eight more than columns, so that four lines apart banks differ.</summary>
    public static int SpillPitch<TShape>()
        where TShape : struct, ITileShape
        => (1 << TShape.ColumnShift) + 8;
}

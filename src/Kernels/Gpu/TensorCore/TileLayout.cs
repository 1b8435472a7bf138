namespace Diffusion.Gpu.Kernels;

/// <summary>Where values lie in the shared memory of a tile; the same on every device.</summary>
/// <remarks>A stage has 64 bytes of depth, whatever the element: 16 values of 32 bits, or 32 of 16. A panel whose source has the depth in
/// its columns is stored line by line; one whose source has the depth in its rows is stored depth by depth, in blocks of lines as wide as
/// all banks. Either way a piece of 16 bytes is copied as it lies in memory. The exclusive-or on the number of the piece (CUTLASS:
/// swizzle) takes the place of padding: what eight threads copy, and what a fragment load reads at a time, touches every bank
/// once.</remarks>
internal static class TileLayout
{
    /// <summary>Threads of a group: four warps, two along the lines and two along the columns.</summary>
    public const int ThreadShift = 7;
    public const int Threads = 1 << ThreadShift;

    /// <summary>Lines that the threads copy at a time where columns are the depth: four threads each.</summary>
    public const int LinesOfPass = Threads / 4;

    /// <summary>Rows that they copy at a time where rows are the depth: eight threads each.</summary>
    public const int RowsOfPass = Threads / 8;

    /// <summary>Stages in shared memory: one in use, the others under way.</summary>
    public const int Stages = 3;

    /// <summary>Bytes of depth in a stage.</summary>
    public const int LineBytes = 64;

    /// <summary>Bytes of depth that one step multiplies: 8 values of 32 bits, or 16 of 16.</summary>
    public const int HalfStageBytes = LineBytes / 2;

    /// <summary>Bytes of a row of a block, in a panel that is stored depth by depth: 32 lines of 32 bits, or 64 of 16.</summary>
    public const int RowBytes = 128;

    /// <summary>Values of depth in a stage.</summary>
    public static int StageDepth<TElement>()
        where TElement : struct, ITileElement
        => LineBytes >> TElement.ByteShift;

    /// <summary>log2 of the values in a piece of 16 bytes.</summary>
    public static int PieceShift<TElement>()
        where TElement : struct, ITileElement
        => 4 - TElement.ByteShift;

    /// <summary>Byte of a piece in a panel that is stored line by line.</summary>
    public static int LineByLine(int line, int piece) => (line * LineBytes) + ((piece ^ ((line >> 1) & 3)) << 4);

    /// <summary>Bytes of a block, which has all the depth of a stage, in a panel that is stored depth by depth.</summary>
    public static int BlockBytes<TElement>()
        where TElement : struct, ITileElement
        => StageDepth<TElement>() * RowBytes;

    /// <summary>Byte of a piece in a panel that is stored depth by depth.</summary>
    public static int DepthByDepth<TElement>(int depth, int piece)
        where TElement : struct, ITileElement
    {
        int spread = TElement.ByteShift == 2 ? (depth & 3) << 1 : depth & 7;
        return ((piece >> 3) * BlockBytes<TElement>()) + (depth * RowBytes) + (((piece & 7) ^ spread) << 4);
    }

    /// <summary>Byte of a panel that a thread's first piece of a stage goes to; neighbours copy neighbouring pieces.</summary>
    public static int CopyTarget<TElement, TOrder>(int thread)
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? LineByLine(thread >> 2, thread & 3) : DepthByDepth<TElement>(thread >> 3, thread & 7);

    /// <summary>
    /// Whether lines of the left operand are loaded in pairs: two neighbouring lines are then rows g and g + 8 of a fragment, which halves
    /// the loads. Of 32-bit values stored depth by depth alone; no instruction turns those.
    /// </summary>
    public static bool IsPaired<TElement, TOrder>()
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => TElement.ByteShift == 2 && !TOrder.ColumnsAreDepth;

    /// <summary>What a lane names for the left fragments of a warp's lines: row lane % 8 of matrix lane / 8, or its own words.</summary>
    public static int LeftAddress<TElement, TOrder>(int lane, int firstLine)
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
    {
        if (TOrder.ColumnsAreDepth)
            return LineByLine(firstLine + (lane & 15), lane >> 4);
        if (IsPaired<TElement, TOrder>())
            return DepthByDepth<TElement>(lane & 3, (firstLine >> 2) + (lane >> 3)) + ((lane & 4) << 1);
        return DepthByDepth<TElement>((lane & 7) + ((lane >> 4) << 3), (firstLine + (lane & 8)) >> 3);
    }

    /// <summary>The same for the right fragments of a warp's columns, two at a time where they are loaded as matrices.</summary>
    public static int RightAddress<TElement, TOrder>(int lane, int firstColumn)
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
    {
        if (TOrder.ColumnsAreDepth)
            return LineByLine(firstColumn + (lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
        if (TElement.ByteShift == 2)
            return DepthByDepth<TElement>(lane & 3, (firstColumn >> 2) + (lane >> 4)) + (lane & 12);
        return DepthByDepth<TElement>(lane & 15, (firstColumn >> 3) + (lane >> 4));
    }

    /// <summary>What is added by exclusive-or to reach bytes further on in the lines of a panel stored depth by depth.</summary>
    public static int Spread(int bytes) => bytes & (RowBytes - 1);

    /// <summary>What is added after <see cref="Spread"/>: another block.</summary>
    public static int Repeat<TElement>(int bytes)
        where TElement : struct, ITileElement
        => (bytes >> 7) * BlockBytes<TElement>();

    /// <summary>Bytes from the first half of a stage's depth to the second in a panel stored depth by depth.</summary>
    public static int HalfBlock<TElement>(int half)
        where TElement : struct, ITileElement
        => half * (BlockBytes<TElement>() >> 1);

    /// <summary>Lines of sums that lie in shared memory at a time: 16 of each row of warps.</summary>
    public const int SpilledLines = 32;

    /// <summary>The line of 16 that a lane's first two sums of a fragment belong to.</summary>
    public static int SpillLine<TElement, TOrder>(int lane)
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => IsPaired<TElement, TOrder>() ? (lane >> 2) << 1 : lane >> 2;

    /// <summary>Lines from a lane's first two sums of a fragment to the other two.</summary>
    public static int SpillStep<TElement, TOrder>()
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => IsPaired<TElement, TOrder>() ? 1 : 8;

    /// <summary>Floats from one line of spilled sums to the next: four lines that are stored at a time lie 32 bytes apart.</summary>
    public static int SpillPitch<TShape, TElement, TOrder>()
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => (1 << TShape.ColumnShift) + (IsPaired<TElement, TOrder>() ? 4 : 8);
}

namespace Diffusion.Gpu.Kernels;

/// <summary>Names an operand in shared memory to a matrix instruction of a warpgroup, in 64 bits.</summary>
/// <remarks>PTX ISA, wgmma.mma_async, matrix descriptor format and canonical layouts. Low word: bits 0-13 the start address, 16-29 the
/// leading dimension byte offset; high word: bits 0-13 the stride dimension byte offset, 30-31 the swizzle; addresses and offsets in pieces
/// of 16 bytes. A panel stored line by line is K-major with the swizzle of 64 bytes: atoms of 8 lines, which lie a stride apart; depth
/// within an atom is reached by the start address, and the leading offset is not used. A panel stored depth by depth is MN-major with the
/// swizzle of 128 bytes, for 16-bit values only: atoms of 64 lines and 8 depths, a stride apart along the depth and a leading offset along
/// the lines. Swizzles permute by the address itself and repeat every 512 and 1,024 bytes: stages and panels begin at multiples of 4,096,
/// shared memory at one of 1,024 (<see cref="KernelText.ForWarpgroups"/>), so the matrix base offset is 0.</remarks>
internal static class WarpgroupDescriptor
{
    /// <summary>Lines of the left operand that an instruction takes.</summary>
    public const int LineShift = 6;

    private const int PieceShift = 4;

    /// <summary>Lines, or depths, of an atom: 8 rows of as many bytes as the swizzle has.</summary>
    private const int RowsOfAtom = 8;

    private const uint Swizzle128 = 1, Swizzle64 = 2;

    /// <summary>Whether there is an instruction for such operands.</summary>
    public static bool Reads<TLeftOrder, TRightOrder>(Precision precision)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
        => precision == Precision.Bf16 || (precision == Precision.Tf32 && TLeftOrder.ColumnsAreDepth && TRightOrder.ColumnsAreDepth);

    /// <summary>The low word.</summary>
    /// <param name="address">Byte of shared memory where the operand's panel begins.</param>
    /// <param name="half">0 or 1: which half of the stage's depth.</param>
    public static int Low<TElement, TOrder>(int address, int half)
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
    {
        int leading = TOrder.ColumnsAreDepth ? 1 : TileLayout.BlockBytes<TElement>() >> PieceShift;
        int start = TOrder.ColumnsAreDepth ? TileLayout.HalfStageBytes * half : TileLayout.HalfBlock<TElement>(half);
        return ((address + start) >> PieceShift) + (leading << 16);
    }

    /// <summary>The high word.</summary>
    public static uint High<TOrder>()
        where TOrder : struct, IOperandOrder
    {
        int row = TOrder.ColumnsAreDepth ? TileLayout.LineBytes : TileLayout.RowBytes;
        return (uint)((RowsOfAtom * row) >> PieceShift) | ((TOrder.ColumnsAreDepth ? Swizzle64 : Swizzle128) << 30);
    }

    /// <summary>What the low word grows by to reach the next 64 lines of the left operand.</summary>
    public static int NextLines<TElement, TOrder>()
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => (TOrder.ColumnsAreDepth ? TileLayout.LineBytes << LineShift : TileLayout.BlockBytes<TElement>()) >> PieceShift;
}

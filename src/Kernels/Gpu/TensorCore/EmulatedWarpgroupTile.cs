using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Plays the matrix instructions of a warpgroup on any device: reads shared memory by the descriptors that the instructions are given, as
/// the PTX ISA says, and has the sums where it says.
/// </summary>
/// <remarks>Copies land at once, and operands are read when they are waited for: the earliest and the latest moment that hardware may
/// choose, so overwriting a stage in use is seen. A missing wait, fence or barrier and a slip in <see cref="WarpgroupInstructionText"/> are
/// not.</remarks>
internal struct EmulatedWarpgroupTile<TShape, TElement> : ITile
    where TShape : struct, ITileShape
    where TElement : struct, ITileElement
{
    /// <summary>Words of <see cref="TileMemory.Pending"/>: how many instructions, whether the depth of either operand lies in rows, then
    /// the two descriptors of each instruction.</summary>
    private const int Count = 0, LeftIsTurned = 1, RightIsTurned = 2, First = 3, WordsOfInstruction = 4;

    public static bool IsAsynchronous => true;

    private static int Blocks => 1 << (TShape.LineShift - WarpgroupDescriptor.LineShift);

    private static int ColumnFragments => 1 << (TShape.ColumnShift - 3);

    public static TileMemory Open()
    {
        var memory = new TileMemory
        {
            Shared = SharedMemory.Allocate<F4>(TileShape<TShape>.SharedBytes >> 4),
            Sums = LocalMemory.Allocate<float>(TileShape<TShape>.SumsOfLane),
            Pending = LocalMemory.Allocate<uint>(First + (2 * Blocks * WordsOfInstruction)),
        };
        for (int i = 0; i < TileShape<TShape>.SumsOfLane; i++)
            memory.Sums[i] = 0;
        memory.Pending[Count] = 0;
        return memory;
    }

    public static int Hold(int value) => value;

    public static void Copy(TileMemory memory, int target, ArrayView<float> values, int offset, int bytes, bool isInside)
        => EmulatedTile<TShape, TElement>.Copy(memory, target, values, offset, bytes, isInside);

    public static void Commit()
    {
    }

    public static void Wait(TileMemory memory)
    {
        for (int i = 0; i < (int)memory.Pending[Count]; i++)
            Multiply(memory, i & (Blocks - 1), First + (i * WordsOfInstruction));
        memory.Pending[Count] = 0;
    }

    public static void Drain(TileMemory memory) => Wait(memory);

    public static TileMemory Anchor<TLeftOrder, TRightOrder>(TileMemory memory)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        memory.Pending[LeftIsTurned] = TLeftOrder.ColumnsAreDepth ? 0u : 1u;
        memory.Pending[RightIsTurned] = TRightOrder.ColumnsAreDepth ? 0u : 1u;
        return memory;
    }

    public static void Step<TLeftOrder, TRightOrder>(TileMemory memory, int stage, int half)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        for (int block = 0; block < Blocks; block++)
        {
            int at = First + ((int)memory.Pending[Count] * WordsOfInstruction);
            memory.Pending[at] = (uint)(WarpgroupDescriptor.Low<TElement, TLeftOrder>(stage, half)
                + (block * WarpgroupDescriptor.NextLines<TElement, TLeftOrder>()));
            memory.Pending[at + 1] = WarpgroupDescriptor.High<TLeftOrder>();
            memory.Pending[at + 2] = (uint)WarpgroupDescriptor.Low<TElement, TRightOrder>(stage + TileShape<TShape>.LeftBytes, half);
            memory.Pending[at + 3] = WarpgroupDescriptor.High<TRightOrder>();
            memory.Pending[Count]++;
        }
    }

    public static int SpillWord<TLeftOrder>()
        where TLeftOrder : struct, IOperandOrder
        => WarpgroupSums.SpillWord(TileLayout.SpillPitch<TShape, TElement, TLeftOrder>());

    public static void Spill<TLeftOrder>(TileMemory memory, int part, int word)
        where TLeftOrder : struct, IOperandOrder
    {
        var floats = memory.Shared.Cast<float>();
        int sums = ColumnFragments << 2, own = WarpgroupSums.PartOfWarp(part);
        int step = TileLayout.SpillStep<TElement, TLeftOrder>() * TileLayout.SpillPitch<TShape, TElement, TLeftOrder>();
        for (int block = 0; block < Blocks; block++)
        {
            for (int i = 0; i < sums && own == 2 * block; i++)
                floats[word + (((i >> 1) & 1) * step) + ((i >> 2) << 3) + (i & 1)] = memory.Sums[(block * sums) + i];
        }
    }

    public static int SpilledLine(int part, int line) => WarpgroupSums.SpilledLine(part, line);

    /// <summary>wgmma: sum 4·j + w of lane l of warp v is of line 16·v + l / 4 + 8·(w / 2), column 8·j + 2·(l % 4) + w % 2.</summary>
    private static void Multiply(TileMemory memory, int block, int at)
    {
        uint leftLow = memory.Pending[at], leftHigh = memory.Pending[at + 1];
        uint rightLow = memory.Pending[at + 2], rightHigh = memory.Pending[at + 3];
        bool leftIsTurned = memory.Pending[LeftIsTurned] != 0, rightIsTurned = memory.Pending[RightIsTurned] != 0;
        int line = ((Group.IdxX >> 5) << 4) + ((Group.IdxX & 31) >> 2), column = (Group.IdxX & 3) << 1;
        int sum = block * (ColumnFragments << 2);
        for (int word = 0; word < 8; word++)
        {
            uint low = Word(memory, leftLow, leftHigh, leftIsTurned, line, word);
            uint high = Word(memory, leftLow, leftHigh, leftIsTurned, line + 8, word);
            for (int j = 0; j < ColumnFragments << 1; j++)
            {
                int of = sum + ((j >> 1) << 2) + (j & 1);
                uint right = Word(memory, rightLow, rightHigh, rightIsTurned, ((j >> 1) << 3) + column + (j & 1), word);
                memory.Sums[of] = TElement.MultiplyAdd(low, right, memory.Sums[of]);
                memory.Sums[of + 2] = TElement.MultiplyAdd(high, right, memory.Sums[of + 2]);
            }
        }
    }

    /// <summary>A word of an operand's depth: a value, or two of 16 bits.</summary>
    private static uint Word(TileMemory memory, uint low, uint high, bool isTurned, int line, int word)
    {
        if (TElement.ByteShift == 2)
            return memory.Shared.Cast<uint>()[Byte(low, high, isTurned, line, word) >> 2];
        var values = memory.Shared.Cast<ushort>();
        uint second = values[Byte(low, high, isTurned, line, (2 * word) + 1) >> 1];
        return values[Byte(low, high, isTurned, line, 2 * word) >> 1] | (second << 16);
    }

    /// <summary>Byte of shared memory of a value, by its operand's descriptor: CuTe's canonical layouts of the PTX ISA,
    /// K-major ((8, m), (T, 2k)) : ((row, stride), (1, T)) and MN-major ((T, pieces, m), (8, k)) : ((1, T, leading), (row, stride)), both
    /// under Swizzle&lt;B, 4, 3&gt; with rows of 16·2^B bytes, where the mode is 4 − B.</summary>
    private static int Byte(uint low, uint high, bool isTurned, int line, int depth)
    {
        int swizzle = 4 - (int)(high >> 30), rowShift = 4 + swizzle;
        int start = (int)(low & 0x3FFF) << 4, leading = (int)((low >> 16) & 0x3FFF) << 4, stride = (int)(high & 0x3FFF) << 4;
        int ofRow = isTurned ? depth : line, alongRow = isTurned ? line : depth;
        int along = alongRow << TElement.ByteShift;
        int at = start + ((ofRow & 7) << rowShift) + ((ofRow >> 3) * stride)
            + (along & ((1 << rowShift) - 1)) + ((along >> rowShift) * leading);
        return at ^ (((at >> 7) & ((1 << swizzle) - 1)) << 4);
    }
}

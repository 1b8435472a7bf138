using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Plays the tensor cores of a warp, lane by lane, with the register layouts of the PTX manual: tests run whole tiles with it on any
/// device.
/// </summary>
/// <remarks>Lanes publish the addresses that they would give to a fragment load and the registers that they would hold, so a wrong address,
/// lane or stage gives wrong numbers here too. Copies land at once, which is the earliest moment that hardware may choose: overwriting
/// a stage in use is seen, a missing wait, a missing barrier and a slip in <see cref="InstructionText"/> are not.</remarks>
internal struct EmulatedTile<TShape, TElement> : ITile
    where TShape : struct, ITileShape
    where TElement : struct, ITileElement
{
    /// <summary>Words from a depth to the one that follows after four, in a panel stored depth by depth.</summary>
    private const int FourRows = TileLayout.RowBytes;

    private static int LeftRegisters => 4 * TileShape<TShape>.LeftFragments;

    private static int RegistersOfLane => LeftRegisters + (2 * TileShape<TShape>.RightFragments);

    public static bool IsAsynchronous => false;

    public static TileMemory Open()
    {
        var memory = new TileMemory
        {
            Shared = SharedMemory.Allocate<F4>(TileShape<TShape>.SharedBytes >> 4),
            Fragments = SharedMemory.Allocate<uint>(TileLayout.Threads * RegistersOfLane),
            Addresses = SharedMemory.Allocate<int>(TileLayout.Threads * 2),
            Sums = LocalMemory.Allocate<float>(TileShape<TShape>.SumsOfLane),
        };
        for (int i = 0; i < TileShape<TShape>.SumsOfLane; i++)
            memory.Sums[i] = 0;
        return memory;
    }

    public static int Hold(int value) => value;

    public static void Copy(TileMemory memory, int target, ArrayView<float> values, int offset, int bytes, bool isInside)
    {
        if (isInside)
            memory.Shared[target >> 4] = values.Cast<F4>()[(offset >> TileLayout.PieceShift<TElement>()) + (bytes >> 4)];
        else
            memory.Shared[target >> 4] = default;
    }

    public static void Commit()
    {
    }

    public static void Wait(TileMemory memory)
    {
    }

    public static void Drain(TileMemory memory)
    {
    }

    public static TileMemory Anchor<TLeftOrder, TRightOrder>(TileMemory memory)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        memory.Left = TileWarps<TShape, TElement>.LeftAddress<TLeftOrder>();
        memory.Right = TileWarps<TShape, TElement>.RightAddress<TRightOrder>();
        return memory;
    }

    public static void Step<TLeftOrder, TRightOrder>(TileMemory memory, int stage, int half)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        LoadLeft<TLeftOrder>(memory, stage, half);
        LoadRight<TRightOrder>(memory, stage, half);
        Multiply(memory);
    }

    public static int SpillWord<TLeftOrder>()
        where TLeftOrder : struct, IOperandOrder
        => TileWarps<TShape, TElement>.SpillWord<TLeftOrder>();

    public static void Spill<TLeftOrder>(TileMemory memory, int part, int word)
        where TLeftOrder : struct, IOperandOrder
    {
        var floats = memory.Shared.Cast<float>();
        int perFragment = 4 * TileShape<TShape>.RightFragments;
        int step = TileLayout.SpillStep<TElement, TLeftOrder>() * TileLayout.SpillPitch<TShape, TElement, TLeftOrder>();
        for (int i = 0; i < perFragment; i++)
            floats[word + (((i >> 1) & 1) * step) + ((i >> 2) << 3) + (i & 1)] = memory.Sums[(part * perFragment) + i];
    }

    public static int SpilledLine(int part, int line) => TileWarps<TShape, TElement>.SpilledLine(part, line);

    private static void LoadLeft<TOrder>(TileMemory memory, int stage, int half)
        where TOrder : struct, IOperandOrder
    {
        int fragments = TileShape<TShape>.LeftFragments, address = memory.Left + stage;
        if (TOrder.ColumnsAreDepth)
            LoadMatrices(memory, 0, 0, fragments, address ^ (TileLayout.HalfStageBytes * half));
        else if (TElement.ByteShift == 1)
            LoadTransposed(memory, 0, 0, fragments, address + TileLayout.HalfBlock<TElement>(half));
        else
        {
            for (int i = 0; i < fragments; i++)
            {
                int word = Word(address, 64 * i, half);
                LoadWords(memory, 4 * i, 1, word);
                LoadWords(memory, (4 * i) + 2, 1, word + FourRows);
            }
        }
    }

    private static void LoadRight<TOrder>(TileMemory memory, int stage, int half)
        where TOrder : struct, IOperandOrder
    {
        int fragments = TileShape<TShape>.RightFragments, address = memory.Right + stage;
        if (TOrder.ColumnsAreDepth)
            LoadMatrices(memory, TileLayout.Threads, LeftRegisters, fragments >> 1, address ^ (TileLayout.HalfStageBytes * half));
        else if (TElement.ByteShift == 1)
            LoadTransposed(memory, TileLayout.Threads, LeftRegisters, fragments >> 1, address + TileLayout.HalfBlock<TElement>(half));
        else
        {
            for (int i = 0; i < fragments; i++)
                LoadWords(memory, LeftRegisters + (2 * i), FourRows, Word(address, 32 * i, half));
        }
    }

    /// <summary>mma: lane l sums lines l / 4 and l / 4 + 8, columns 2·(l % 4) and the next, over eight words of depth.</summary>
    private static void Multiply(TileMemory memory)
    {
        Group.Barrier();
        int lane = Group.IdxX & 31;
        for (int sum = 0; sum < TileShape<TShape>.SumsOfLane; sum++)
        {
            int left = sum >> (TileShape<TShape>.ColumnsOfWarpShift - 1);
            int right = (sum >> 2) & (TileShape<TShape>.RightFragments - 1);
            int fromLeft = (left << 2) + ((sum >> 1) & 1), fromRight = LeftRegisters + (2 * right);
            int leftLane = lane & ~3, rightLane = (((lane & 3) << 1) + (sum & 1)) << 2;
            float value = memory.Sums[sum];
            for (int word = 0; word < 8; word++)
            {
                value = TElement.MultiplyAdd(memory.Fragments[Register(fromLeft + ((word >> 2) << 1), leftLane + (word & 3))],
                    memory.Fragments[Register(fromRight + (word >> 2), rightLane + (word & 3))], value);
            }
            memory.Sums[sum] = value;
        }
        Group.Barrier();
    }

    /// <summary>ldmatrix .x4: lane 8m + r names row r of matrix m; lane l receives word l % 4 of row l / 4 of each.</summary>
    private static void LoadMatrices(TileMemory memory, int firstAddress, int firstRegister, int count, int address)
    {
        var words = memory.Shared.Cast<uint>();
        int lane = Group.IdxX & 31;
        memory.Addresses[firstAddress + Group.IdxX] = address;
        Group.Barrier();
        for (int matrix = 0; matrix < 4; matrix++)
        {
            int namer = (Group.IdxX & ~31) + (matrix << 3) + (lane >> 2);
            int word = (memory.Addresses[firstAddress + namer] >> 2) + (lane & 3);
            for (int i = 0; i < count; i++)
                memory.Fragments[Register(firstRegister + (i << 2) + matrix, lane)] = words[word + (i * 16 * (TileLayout.LineBytes >> 2))];
        }
    }

    /// <summary>ldmatrix .x4 .trans: lane l receives value l / 4 of rows 2·(l % 4) and the next of each matrix.</summary>
    private static void LoadTransposed(TileMemory memory, int firstAddress, int firstRegister, int count, int address)
    {
        int lane = Group.IdxX & 31;
        memory.Addresses[firstAddress + Group.IdxX] = address;
        Group.Barrier();
        for (int matrix = 0; matrix < 4; matrix++)
        {
            int namer = firstAddress + (Group.IdxX & ~31) + (matrix << 3) + ((lane & 3) << 1);
            int low = memory.Addresses[namer], high = memory.Addresses[namer + 1];
            for (int i = 0; i < count; i++)
            {
                memory.Fragments[Register(firstRegister + (i << 2) + matrix, lane)]
                    = Half(memory, low, i, lane >> 2) | (Half(memory, high, i, lane >> 2) << 16);
            }
        }
    }

    private static uint Half(TileMemory memory, int address, int index, int value)
    {
        int matrix = (address ^ TileLayout.Spread(32 * index)) + TileLayout.Repeat<TElement>(32 * index);
        return memory.Shared.Cast<ushort>()[(matrix >> 1) + value];
    }

    /// <summary>ld.shared: this lane's word, and the one that lies <paramref name="step"/> words behind it.</summary>
    private static void LoadWords(TileMemory memory, int register, int step, int word)
    {
        var words = memory.Shared.Cast<uint>();
        memory.Fragments[Register(register, Group.IdxX & 31)] = words[word];
        memory.Fragments[Register(register + 1, Group.IdxX & 31)] = words[word + step];
    }

    private static int Word(int address, int bytes, int half)
        => ((address ^ TileLayout.Spread(bytes)) + TileLayout.Repeat<TElement>(bytes) + TileLayout.HalfBlock<TElement>(half)) >> 2;

    private static int Register(int index, int lane) => ((Group.IdxX >> 5) * RegistersOfLane * 32) + (index << 5) + lane;
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Plays the tensor cores of a warp, lane by lane, with the register layouts of the PTX manual: tests run whole tiles with it on any
/// device.
/// </summary>
/// <remarks>Lanes publish the addresses that they would give to a fragment load and the registers that they would hold, so a wrong address,
/// lane or stage gives wrong numbers here too. Copies land at once, which is the earliest moment that hardware may choose: overwriting
/// a stage in use is seen, a missing wait, a missing barrier and a slip in <see cref="InstructionText"/> are not.</remarks>
internal struct EmulatedTile<TShape> : ITile
    where TShape : struct, ITileShape
{
    private static int LeftRegisters => 4 * TileShape<TShape>.LeftFragments;

    private static int RegistersOfLane => LeftRegisters + (2 * TileShape<TShape>.RightFragments);

    private static int SumsOfLane => 4 * TileShape<TShape>.LeftFragments * TileShape<TShape>.RightFragments;

    public static TileMemory Open()
    {
        var memory = new TileMemory
        {
            Shared = SharedMemory.Allocate<F4>(TileShape<TShape>.SharedBytes >> 4),
            Fragments = SharedMemory.Allocate<float>(TileShape<TShape>.Threads * RegistersOfLane),
            Addresses = SharedMemory.Allocate<int>(TileShape<TShape>.Threads * 2),
            Sums = LocalMemory.Allocate<float>(SumsOfLane),
        };
        for (int i = 0; i < SumsOfLane; i++)
            memory.Sums[i] = 0;
        return memory;
    }

    public static void Copy<TVector>(TileMemory memory, int target, ref TVector source, bool isInside)
        where TVector : unmanaged
    {
        var slots = memory.Shared.Cast<TVector>();
        int slot = Interop.SizeOf<TVector>() == 16 ? target >> 4 : target >> 2;
        if (isInside)
            slots[slot] = source;
        else
            slots[slot] = default;
    }

    public static void Commit()
    {
    }

    public static void Wait()
    {
    }

    public static void Drain()
    {
    }

    public static void LoadLeft<TOrder>(TileMemory memory, int address, int half)
        where TOrder : struct, IOperandOrder
    {
        if (TOrder.ColumnsAreDepth)
            LoadMatrices(memory, 0, 0, LeftRegisters >> 2, address, half);
        else
        {
            for (int eight = 0; eight < LeftRegisters >> 1; eight++)
            {
                int register = ((eight >> 1) << 2) + (eight & 1);
                LoadWords(memory, register, register + 2, address, half, eight, TShape.LineShift);
            }
        }
    }

    public static void LoadRight<TOrder>(TileMemory memory, int address, int half)
        where TOrder : struct, IOperandOrder
    {
        if (TOrder.ColumnsAreDepth)
            LoadMatrices(memory, TileShape<TShape>.Threads, LeftRegisters, TileShape<TShape>.RightFragments >> 1, address, half);
        else
        {
            for (int fragment = 0; fragment < TileShape<TShape>.RightFragments; fragment++)
            {
                int register = LeftRegisters + (2 * fragment);
                LoadWords(memory, register, register + 1, address, half, fragment, TShape.ColumnShift);
            }
        }
    }

    /// <summary>mma: lane l sums lines l / 4 and l / 4 + 8, columns 2·(l % 4) and the next, over a depth of 8.</summary>
    public static void Step(TileMemory memory)
    {
        Group.Barrier();
        int lane = Group.IdxX & 31;
        for (int sum = 0; sum < SumsOfLane; sum++)
        {
            int left = sum >> (TileShape<TShape>.ColumnsOfWarpShift - 1);
            int right = (sum >> 2) & (TileShape<TShape>.RightFragments - 1);
            int fromLeft = (left << 2) + ((sum >> 1) & 1), fromRight = LeftRegisters + (2 * right);
            int leftLane = lane & ~3, rightLane = (((lane & 3) << 1) + (sum & 1)) << 2;
            float value = memory.Sums[sum];
            for (int depth = 0; depth < 8; depth++)
            {
                value += memory.Fragments[Register(fromLeft + ((depth >> 2) << 1), leftLane + (depth & 3))]
                    * memory.Fragments[Register(fromRight + (depth >> 2), rightLane + (depth & 3))];
            }
            memory.Sums[sum] = value;
        }
        Group.Barrier();
    }

    public static void Spill(TileMemory memory, int fragment, int word)
    {
        var floats = memory.Shared.Cast<float>();
        int perFragment = 4 * TileShape<TShape>.RightFragments;
        for (int i = 0; i < perFragment; i++)
        {
            floats[word + (((i >> 1) & 1) * 8 * TileLayout.SpillPitch<TShape>()) + ((i >> 2) << 3) + (i & 1)]
                = memory.Sums[(fragment * perFragment) + i];
        }
    }

    /// <summary>ldmatrix .x4: lane 8m + r names row r of matrix m; lane l receives word l % 4 of row l / 4 of each.</summary>
    private static void LoadMatrices(TileMemory memory, int firstAddress, int firstRegister, int count, int address, int half)
    {
        var words = memory.Shared.Cast<float>();
        int lane = Group.IdxX & 31;
        memory.Addresses[firstAddress + Group.IdxX] = address ^ (TileLayout.HalfStageBytes * half);
        Group.Barrier();
        for (int matrix = 0; matrix < 4; matrix++)
        {
            int namer = (Group.IdxX & ~31) + (matrix << 3) + (lane >> 2);
            int word = (memory.Addresses[firstAddress + namer] >> 2) + (lane & 3);
            for (int i = 0; i < count; i++)
            {
                memory.Fragments[Register(firstRegister + (i << 2) + matrix, lane)]
                    = Round(words[word + (i * 16 * (TileLayout.LineBytes >> 2))]);
            }
        }
    }

    private static void LoadWords(TileMemory memory, int near, int far, int address, int half, int index, int extentShift)
    {
        var words = memory.Shared.Cast<float>();
        int lane = Group.IdxX & 31, word = ((address ^ (32 * (index & 3))) >> 2) + ((8 * half) << extentShift) + (8 * (index & ~3));
        memory.Fragments[Register(near, lane)] = Round(words[word]);
        memory.Fragments[Register(far, lane)] = Round(words[word + (4 << extentShift)]);
    }

    /// <summary>cvt.rna.tf32: to nearest, halves away from zero; NaN stays NaN.</summary>
    private static float Round(float x)
    {
        uint bits = Interop.FloatAsInt(x);
        bool isFinite = (bits & 0x7F800000u) != 0x7F800000u;
        return isFinite ? Interop.IntAsFloat((bits + 0x1000u) & 0xFFFFE000u) : x;
    }

    private static int Register(int index, int lane) => ((Group.IdxX >> 5) * RegistersOfLane * 32) + (index << 5) + lane;
}

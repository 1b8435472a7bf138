using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Tensor cores of an NVIDIA GPU of compute capability 9.0, driven by all four warps together (wgmma).</summary>
/// <remarks>The group is one warpgroup. Both operands are read where the copies put them, without fragments; instructions of 64 lines and
/// all columns run on by themselves, beside the copies of the stage after next. <see cref="Wait"/>, ahead of the barrier of the next stage,
/// has the order that the PTX ISA asks for: this thread's copies have landed, this warpgroup's instructions have read theirs, then a fence
/// between the two proxies: it shows the copies, which are of the generic proxy, to the next instructions, of the asynchronous one, and
/// keeps the next copies behind what the last instructions read.</remarks>
internal struct WarpgroupTile<TShape, TElement> : ITile
    where TShape : struct, ITileShape
    where TElement : struct, ITileElement
{
    public static bool IsAsynchronous => true;

    public static TileMemory Open()
    {
        var shared = SharedMemory.GetDynamic<F4>();
        WarpgroupInstructions.OpenWarpgroup<TShape>(ref shared[0]);
        return new TileMemory { Shared = shared };
    }

    public static int Hold(int value) => Instructions.Hold(value);

    public static void Copy(TileMemory memory, int target, ArrayView<float> values, int offset, int bytes, bool isInside)
        => CudaTile<TShape, TElement>.Copy(memory, target, values, offset, bytes, isInside);

    public static void Commit() => Instructions.Commit();

    public static void Wait(TileMemory memory)
    {
        Instructions.Wait();
        WarpgroupInstructions.WaitForWarpgroup();
    }

    public static void Drain(TileMemory memory)
    {
        Instructions.Drain();
        WarpgroupInstructions.WaitForWarpgroup();
    }

    public static TileMemory Anchor<TLeftOrder, TRightOrder>(TileMemory memory)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
        => memory;

    public static void Step<TLeftOrder, TRightOrder>(TileMemory memory, int stage, int half)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
        => WarpgroupInstructions.StepWarpgroup<TShape, TElement, TLeftOrder, TRightOrder>(
            WarpgroupDescriptor.Low<TElement, TLeftOrder>(stage, half),
            WarpgroupDescriptor.Low<TElement, TRightOrder>(stage + TileShape<TShape>.LeftBytes, half));

    public static int SpillWord<TLeftOrder>()
        where TLeftOrder : struct, IOperandOrder
        => WarpgroupSums.SpillWord(TileLayout.SpillPitch<TShape, TElement, TLeftOrder>());

    public static void Spill<TLeftOrder>(TileMemory memory, int part, int word)
        where TLeftOrder : struct, IOperandOrder
        => WarpgroupInstructions.SpillWarpgroup<TShape, TElement, TLeftOrder>(WarpgroupSums.PartOfWarp(part), word << 2);

    public static int SpilledLine(int part, int line) => WarpgroupSums.SpilledLine(part, line);
}

/// <summary>Which sums a lane has: of every 64 lines, warp w has lines 16·w …, lane l of it l / 4 and l / 4 + 8, columns 8·j + 2·(l % 4)
/// and the next (PTX ISA, accumulator D of wgmma). Of 32 lines that are spilled together two warps have all columns.</summary>
internal static class WarpgroupSums
{
    /// <summary>The float of shared memory where this lane's first pair of spilled sums goes.</summary>
    public static int SpillWord(int pitch)
        => (((((Group.IdxX >> 5) & 1) << 4) + ((Group.IdxX & 31) >> 2)) * pitch) + ((Group.IdxX & 3) << 1);

    /// <summary>The part as this warp counts: 2·b where its sums of lines 64·b … are spilled; odd where the other two warps' are.</summary>
    public static int PartOfWarp(int part) => part - (Group.IdxX >> 6);

    /// <summary>The line of the tile that was spilled as line 0 … 31 of a part.</summary>
    public static int SpilledLine(int part, int line) => (part << 5) + line;
}

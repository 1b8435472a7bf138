using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What a tile works in. All but the first exist only where tensor cores are emulated.</summary>
internal struct TileMemory
{
    /// <summary>The stages, in shared memory.</summary>
    public ArrayView<F4> Shared;

    /// <summary>This lane's sums.</summary>
    public ArrayView<float> Sums;

    /// <summary>The fragment registers of every lane of the group.</summary>
    public ArrayView<uint> Fragments;

    /// <summary>What every lane names to a fragment load: for the left operand, then for the right one.</summary>
    public ArrayView<int> Addresses;

    /// <summary>Matrix instructions that a warpgroup has started and not yet waited for, as they were given.</summary>
    public ArrayView<uint> Pending;

    /// <summary>Where this lane's fragments of the left operand lie in a stage.</summary>
    public int Left;

    /// <summary>Where those of the right operand lie.</summary>
    public int Right;
}

/// <summary>
/// The few steps in which a group with tensor cores differs from any other. Sums and fragments are the tile's own: on CUDA they are named
/// registers. Every thread of the group takes every step.
/// </summary>
/// <remarks>An address is a byte in <see cref="TileMemory.Shared"/>. Which lines and columns a lane sums is the tile's own affair too.
/// </remarks>
internal interface ITile
{
    /// <summary>Whether steps run on by themselves until the next <see cref="Wait"/>: copies are then started after them, beside them.
    /// </summary>
    static abstract bool IsAsynchronous { get; }

    /// <summary>Reserves the memory and zeroes the sums; once a kernel.</summary>
    static abstract TileMemory Open();

    /// <summary>The same value of a thread, to stay in a register: compilers would rather compute it anew for every stage.</summary>
    static abstract int Hold(int value);

    /// <summary>Starts to copy 16 bytes, or as many zeros where <paramref name="isInside"/> is false.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    /// <param name="target">A multiple of 16.</param>
    /// <param name="values">In global memory; may hold narrower values than its type says.</param>
    /// <param name="offset">A value, a whole number of 16-byte pieces from the first one.</param>
    /// <param name="bytes">Where the copy begins behind that value, a constant.</param>
    /// <param name="isInside">Whether there are values.</param>
    static abstract void Copy(TileMemory memory, int target, ArrayView<float> values, int offset, int bytes, bool isInside);

    /// <summary>Closes the group of copies that this thread started since the last call.</summary>
    static abstract void Commit();

    /// <summary>Waits until all but the newest Stages − 2 groups of this thread's copies have landed, and until all steps are done.
    /// </summary>
    static abstract void Wait(TileMemory memory);

    /// <summary>Waits for all of this thread's copies, for zeros past the depth may still be landing at the end, and for all steps.
    /// </summary>
    static abstract void Drain(TileMemory memory);

    /// <summary>Keeps where this lane's share of the operands lies in a stage; once, before the first step.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    static abstract TileMemory Anchor<TLeftOrder, TRightOrder>(TileMemory memory)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder;

    /// <summary>Adds the products of half a stage to the sums.</summary>
    /// <param name="memory">From <see cref="Anchor"/>.</param>
    /// <param name="stage">Byte of the stage.</param>
    /// <param name="half">0 or 1, a constant: the first or the second half of the stage's depth.</param>
    static abstract void Step<TLeftOrder, TRightOrder>(TileMemory memory, int stage, int half)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder;

    /// <summary>The float of shared memory where this lane's first pair of spilled sums goes.</summary>
    static abstract int SpillWord<TLeftOrder>()
        where TLeftOrder : struct, IOperandOrder;

    /// <summary>Writes 32 lines of sums to shared memory, <see cref="TileLayout.SpillPitch"/> values a line.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    /// <param name="part">Which 32 lines: see <see cref="SpilledLine"/>.</param>
    /// <param name="word">From <see cref="SpillWord"/>.</param>
    static abstract void Spill<TLeftOrder>(TileMemory memory, int part, int word)
        where TLeftOrder : struct, IOperandOrder;

    /// <summary>The line of the tile that was spilled as line 0 … 31 of a part.</summary>
    static abstract int SpilledLine(int part, int line);
}

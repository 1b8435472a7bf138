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

    /// <summary>Where this lane's fragments of the left operand lie in a stage.</summary>
    public int Left;

    /// <summary>Where those of the right operand lie.</summary>
    public int Right;
}

/// <summary>
/// The few steps in which a group with tensor cores differs from any other. Sums and fragments are the tile's own: on CUDA they are named
/// registers. Every thread of the group takes every step.
/// </summary>
/// <remarks>An address is a byte in <see cref="TileMemory.Shared"/>. A fragment load takes from each lane the address that
/// <see cref="TileLayout"/> gives it for the first line of its warp, kept by <see cref="Anchor"/>, and the stage,
/// and loads the first or second half of its depth.</remarks>
internal interface ITile
{
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

    /// <summary>Waits until all but the newest Stages − 2 groups of this thread's copies have landed.</summary>
    static abstract void Wait();

    /// <summary>Waits for all of this thread's copies: zeros past the depth may still be landing when the sums are done.</summary>
    static abstract void Drain();

    /// <summary>Keeps where this lane's fragments lie in a stage; once, before the first load.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    /// <param name="left">What <see cref="TileLayout.LeftAddress"/> says.</param>
    /// <param name="right">What <see cref="TileLayout.RightAddress"/> says, behind the left panel.</param>
    static abstract TileMemory Anchor(TileMemory memory, int left, int right);

    /// <summary>Loads this warp's fragments of the left operand.</summary>
    /// <param name="memory">From <see cref="Anchor"/>.</param>
    /// <param name="stage">Byte of the stage.</param>
    /// <param name="half">0 or 1, a constant: the first or the second half of the stage's depth.</param>
    static abstract void LoadLeft<TOrder>(TileMemory memory, int stage, int half)
        where TOrder : struct, IOperandOrder;

    /// <summary>Loads this warp's fragments of the right operand; parameters as above.</summary>
    static abstract void LoadRight<TOrder>(TileMemory memory, int stage, int half)
        where TOrder : struct, IOperandOrder;

    /// <summary>Adds the products of the loaded fragments to the sums.</summary>
    static abstract void Step(TileMemory memory);

    /// <summary>Writes 16 lines of this warp's sums to shared memory, <see cref="TileLayout.SpillPitch"/> values a line.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    /// <param name="fragment">Which 16 lines.</param>
    /// <param name="word">Where this lane's first pair goes, in floats.</param>
    static abstract void Spill<TLeftOrder>(TileMemory memory, int fragment, int word)
        where TLeftOrder : struct, IOperandOrder;
}

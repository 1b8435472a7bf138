using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>How the warps of a group cover one tile of a product. Extents are powers of two.</summary>
internal interface ITileShape
{
    /// <summary>log2 of the tile's lines.</summary>
    static abstract int LineShift { get; }

    /// <summary>log2 of the tile's columns.</summary>
    static abstract int ColumnShift { get; }

    /// <summary>log2 of the warps side by side along the lines.</summary>
    static abstract int WarpLineShift { get; }

    /// <summary>log2 of the warps side by side along the columns.</summary>
    static abstract int WarpColumnShift { get; }

    /// <summary>Depths in shared memory: one in use, the others under way.</summary>
    static abstract int Stages { get; }
}

/// <summary>128 lines × 128 columns: 8 warps of 64 × 32; 49,152 shared bytes. 32 operations a byte copied.</summary>
internal struct Tile128x128 : ITileShape
{
    static int ITileShape.LineShift => 7;
    static int ITileShape.ColumnShift => 7;
    static int ITileShape.WarpLineShift => 1;
    static int ITileShape.WarpColumnShift => 2;
    static int ITileShape.Stages => 3;
}

/// <summary>128 lines × 64 columns: 4 warps of 64 × 32; 36,864 shared bytes. 21 operations a byte copied.</summary>
internal struct Tile128x64 : ITileShape
{
    static int ITileShape.LineShift => 7;
    static int ITileShape.ColumnShift => 6;
    static int ITileShape.WarpLineShift => 1;
    static int ITileShape.WarpColumnShift => 1;
    static int ITileShape.Stages => 3;
}

/// <summary>64 lines × 64 columns: 4 warps of 32 × 32; 24,576 shared bytes. 16 operations a byte copied.</summary>
internal struct Tile64x64 : ITileShape
{
    static int ITileShape.LineShift => 6;
    static int ITileShape.ColumnShift => 6;
    static int ITileShape.WarpLineShift => 1;
    static int ITileShape.WarpColumnShift => 1;
    static int ITileShape.Stages => 3;
}

/// <summary>What follows from a shape.</summary>
internal static class TileShape<TShape>
    where TShape : struct, ITileShape
{
    public static int ThreadShift => 5 + TShape.WarpLineShift + TShape.WarpColumnShift;

    public static int Threads => 1 << ThreadShift;

    /// <summary>
    /// Groups of this tile that a multiprocessor's 65,536 registers must hold: two of 256 threads, three of 128. Without it the compiler
    /// may cut registers for a fourth, and keep values in memory instead.
    /// </summary>
    public static int LeastGroups => ThreadShift > 7 ? 2 : 3;

    /// <summary>log2 of the lines of a warp.</summary>
    public static int LinesOfWarpShift => TShape.LineShift - TShape.WarpLineShift;

    /// <summary>log2 of the columns of a warp.</summary>
    public static int ColumnsOfWarpShift => TShape.ColumnShift - TShape.WarpColumnShift;

    /// <summary>Fragments of 16 lines that a warp holds of the left operand: four registers each.</summary>
    public static int LeftFragments => 1 << (LinesOfWarpShift - 4);

    /// <summary>Fragments of 8 columns that a warp holds of the right operand: two registers each.</summary>
    public static int RightFragments => 1 << (ColumnsOfWarpShift - 3);

    /// <summary>Bytes of one stage: the panel of the left operand, then that of the right one.</summary>
    public static int StageBytes => ((1 << TShape.LineShift) + (1 << TShape.ColumnShift)) * TileLayout.LineBytes;

    /// <summary>Bytes of all stages, which a group shares.</summary>
    public static int SharedBytes => StageBytes * TShape.Stages;
}

/// <summary>What a tile works in. All but the first exist only where tensor cores are emulated.</summary>
internal struct TileMemory
{
    /// <summary>The stages, in shared memory.</summary>
    public ArrayView<F4> Shared;

    /// <summary>This lane's sums.</summary>
    public ArrayView<float> Sums;

    /// <summary>The fragment registers of every lane of the group.</summary>
    public ArrayView<float> Fragments;

    /// <summary>What every lane names to a fragment load: for the left operand, then for the right one.</summary>
    public ArrayView<int> Addresses;
}

/// <summary>
/// The few steps in which a group with tensor cores differs from any other. Sums and fragments are the tile's own: on CUDA they are named
/// registers. Every thread of the group takes every step.
/// </summary>
/// <remarks>An address is a byte in <see cref="TileMemory.Shared"/>. A fragment load takes from each lane the address that
/// <see cref="TileLayout"/> gives it for the first line of its warp and the stage, and loads the first or second 8 of its depth.</remarks>
internal interface ITile
{
    /// <summary>Reserves the memory and zeroes the sums; once a kernel.</summary>
    static abstract TileMemory Open();

    /// <summary>Starts to copy 16 or 4 bytes, or as many zeros where <paramref name="isInside"/> is false.</summary>
    static abstract void Copy<TVector>(TileMemory memory, int target, ref TVector source, bool isInside)
        where TVector : unmanaged;

    /// <summary>Closes the group of copies that this thread started since the last call.</summary>
    static abstract void Commit();

    /// <summary>Waits until all but the newest Stages − 2 groups of this thread's copies have landed.</summary>
    static abstract void Wait();

    /// <summary>Waits for all of this thread's copies: zeros past the depth may still be landing when the sums are done.</summary>
    static abstract void Drain();

    /// <summary>Loads this warp's fragments of the left operand, rounded to TF32.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    /// <param name="address">What <see cref="TileLayout.LeftAddress"/> says, in the stage.</param>
    /// <param name="half">0 or 1, a constant: the first or the second 8 of the stage's depth.</param>
    static abstract void LoadLeft<TOrder>(TileMemory memory, int address, int half)
        where TOrder : struct, IOperandOrder;

    /// <summary>Loads this warp's fragments of the right operand, rounded to TF32; parameters as above.</summary>
    static abstract void LoadRight<TOrder>(TileMemory memory, int address, int half)
        where TOrder : struct, IOperandOrder;

    /// <summary>Adds the products of the loaded fragments to the sums.</summary>
    static abstract void Step(TileMemory memory);

    /// <summary>Writes 16 lines of this warp's sums to shared memory, <see cref="TileLayout.SpillPitch"/> values a line.</summary>
    /// <param name="memory">From <see cref="Open"/>.</param>
    /// <param name="fragment">Which 16 lines.</param>
    /// <param name="word">Where this lane's first pair goes, in floats.</param>
    static abstract void Spill(TileMemory memory, int fragment, int word);
}

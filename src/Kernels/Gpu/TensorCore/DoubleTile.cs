using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What an emulated warp works in; empty on CUDA.</summary>
internal struct DoubleMemory
{
    /// <summary>This lane's sums.</summary>
    public ArrayView<double> Sums;

    /// <summary>The eight fragment registers of every lane of the group.</summary>
    public ArrayView<double> Fragments;
}

/// <summary>The steps in which matrix instructions in double precision differ from any other code. Every thread takes every step.</summary>
/// <remarks>mma.m8n8k4 (PTX manual, matrix fragments for .f64): lane l holds of the left operand line l / 4 at depth l % 4, of the right
/// one
/// column l / 4 at depth l % 4, and of the sums line l / 4, columns 2·(l % 4) and the next.</remarks>
internal interface IDoubleTile
{
    /// <summary>Zeroes the sums; once a kernel.</summary>
    static abstract DoubleMemory Open();

    /// <summary>Adds the products of four fragments of 8 lines and four of 8 columns over a depth of 4.</summary>
    static abstract void Step(DoubleMemory memory, in D4 left, in D4 right);

    /// <summary>Sum 2·(4·i + j) + w of this lane: fragments i and j, word w. <paramref name="index"/> is a constant.</summary>
    static abstract double Sum(DoubleMemory memory, int index);
}

/// <summary>The numbers that both forms share.</summary>
internal static class DoubleTile
{
    /// <summary>Fragments of a warp along lines and along columns: 32 × 32 sums.</summary>
    public const int Fragments = 4;

    /// <summary>Sums of a lane.</summary>
    public const int Sums = 2 * Fragments * Fragments;
}

/// <summary>Matrix instructions of an NVIDIA GPU.</summary>
internal struct CudaDoubleTile : IDoubleTile
{
    public static DoubleMemory Open()
    {
        DoubleInstructions.OpenDouble();
        return default;
    }

    public static void Step(DoubleMemory memory, in D4 left, in D4 right)
        => DoubleInstructions.StepDouble(left.X, left.Y, left.Z, left.W, right.X, right.Y, right.Z, right.W);

    public static double Sum(DoubleMemory memory, int index) => DoubleInstructions.SumDouble(index);
}

/// <summary>Plays a warp, lane by lane, on any device.</summary>
internal struct EmulatedDoubleTile : IDoubleTile
{
    public static DoubleMemory Open()
    {
        var memory = new DoubleMemory
        {
            Sums = LocalMemory.Allocate<double>(DoubleTile.Sums),
            Fragments = SharedMemory.Allocate<double>(2 * DoubleTile.Fragments * MatrixTile.Threads),
        };
        for (int i = 0; i < DoubleTile.Sums; i++)
            memory.Sums[i] = 0;
        return memory;
    }

    public static void Step(DoubleMemory memory, in D4 left, in D4 right)
    {
        Publish(memory, 0, left);
        Publish(memory, DoubleTile.Fragments, right);
        Group.Barrier();
        int lane = Group.IdxX & 31;
        for (int sum = 0; sum < DoubleTile.Sums; sum++)
        {
            int leftLane = lane & ~3, rightLane = (((lane & 3) << 1) + (sum & 1)) << 2;
            double value = memory.Sums[sum];
            for (int depth = 0; depth < 4; depth++)
            {
                value += memory.Fragments[Register(sum >> 3, leftLane + depth)]
                    * memory.Fragments[Register(4 + ((sum >> 1) & 3), rightLane + depth)];
            }
            memory.Sums[sum] = value;
        }
        Group.Barrier();
    }

    public static double Sum(DoubleMemory memory, int index) => memory.Sums[index];

    private static void Publish(DoubleMemory memory, int first, in D4 fragments)
    {
        int lane = Group.IdxX & 31;
        memory.Fragments[Register(first, lane)] = fragments.X;
        memory.Fragments[Register(first + 1, lane)] = fragments.Y;
        memory.Fragments[Register(first + 2, lane)] = fragments.Z;
        memory.Fragments[Register(first + 3, lane)] = fragments.W;
    }

    private static int Register(int index, int lane) => (((Group.IdxX >> 5 << 3) + index) << 5) + lane;
}

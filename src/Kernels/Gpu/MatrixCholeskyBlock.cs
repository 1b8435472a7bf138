using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What one launch of <see cref="MatrixCholeskyBlock"/> is given: the block of Side columns and rows from First on.</summary>
internal readonly record struct MatrixCholeskyArguments(ArrayView<double> Values, int N, int First, int Side);

/// <summary>Two of the three steps of a blocked Cholesky factorisation; the third is a <see cref="MatrixTile"/>.</summary>
/// <remarks>Substitution, not the inverse of the diagonal block: covariances are all but singular.</remarks>
internal static class MatrixCholeskyBlock
{
    /// <summary>Columns of a block.</summary>
    public const int Side = 64;

    /// <summary>Rows below the diagonal block that one group solves.</summary>
    public const int Rows = 16;

    /// <summary>The 65th value keeps columns off each other's banks.</summary>
    private const int Pitch = Side + 1;

    /// <summary>One group: factors the diagonal block, column by column. A pivot that is not positive becomes NaN, and so does what comes
    /// after it.</summary>
    /// <remarks>Thread t owns row t / 4 of the block and its columns t % 4, + 4, …. Shared: the block, [64][65] doubles, 33,280 bytes.
    /// One pass over the block.</remarks>
    public static void Factor(MatrixCholeskyArguments s)
    {
        var block = SharedMemory.Allocate<double>(Side * Pitch);
        int row = Group.IdxX >> 2, lane = Group.IdxX & 3;
        int source = ((s.First + row) * s.N) + s.First;
        if (row < s.Side)
        {
            for (int column = lane; column <= row; column += 4)
                block[(row * Pitch) + column] = s.Values[source + column];
        }
        Group.Barrier();
        for (int pivot = 0; pivot < s.Side; pivot++)
        {
            double root = Root(block[(pivot * Pitch) + pivot]);
            double value = row == pivot ? root : block[(row * Pitch) + pivot] / root;
            Group.Barrier();
            bool isBelow = row >= pivot && row < s.Side;
            if (isBelow && lane == 0)
                block[(row * Pitch) + pivot] = value;
            Group.Barrier();
            if (isBelow)
            {
                for (int column = pivot + 1 + lane; column <= row; column += 4)
                    block[(row * Pitch) + column] -= value * block[(column * Pitch) + pivot];
            }
            Group.Barrier();
        }
        if (row < s.Side)
        {
            for (int column = lane; column <= row; column += 4)
                s.Values[source + column] = block[(row * Pitch) + column];
        }
    }

    /// <summary>Group = 16 rows below the diagonal block L: each becomes x with x · Lᵀ = row.</summary>
    /// <remarks>Thread t owns row t / 16 and its columns t % 16, + 16, + 32, + 48. A value that is known is taken off those after it.
    /// Shared: L and the rows, [64 + 16][65] doubles, 41,600 bytes. One pass over the rows.</remarks>
    public static void Solve(MatrixCholeskyArguments s)
    {
        var shared = SharedMemory.Allocate<double>((Side + Rows) * Pitch);
        for (int i = Group.IdxX; i < Side * Side; i += Launcher.GroupSize)
        {
            int line = i >> 6, column = i & 63;
            shared[(line * Pitch) + column] = s.Values[((s.First + line) * s.N) + s.First + column];
        }
        int lane = Group.IdxX & 15, own = (Side + (Group.IdxX >> 4)) * Pitch;
        int row = s.First + Side + (Grid.IdxX * Rows) + (Group.IdxX >> 4), at = (row * s.N) + s.First;
        for (int column = lane; column < Side; column += 16)
            shared[own + column] = row < s.N ? s.Values[at + column] : 0;
        Group.Barrier();
        for (int known = 0; known < Side; known++)
        {
            double value = shared[own + known] / shared[(known * Pitch) + known];
            for (int column = lane; column < Side; column += 16)
            {
                if (column > known)
                    shared[own + column] -= value * shared[(column * Pitch) + known];
            }
            Group.Barrier();
            // Nobody reads it any more.
            if ((known & 15) == lane && row < s.N)
                s.Values[at + known] = value;
        }
    }

    private static double Root(double pivot) => pivot > 0 ? Math.Sqrt(pivot) : double.NaN;
}

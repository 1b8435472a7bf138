using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Matrix products in double precision by matrix instructions, where a GPU has fast ones: the tiles, the order of a symmetric
/// result's tiles and the epilogue are those of <see cref="MatrixTile"/>.</summary>
/// <remarks>A group of 4 warps makes a tile of 64 × 64, a warp 32 × 32 of it: 4 × 4 fragments of 8 × 8, 32 sums a lane. Depth passes in
/// stages
/// of 16 through shared memory (two panels [16][68] doubles, 17,408 bytes). Eight reads of a lane serve 16 matrix instructions of 256
/// multiply-adds. A pitch of 4 modulo 16 doubles keeps the 4 depths × 4 lines that half a warp reads on different banks. The next stage's
/// values are read from memory into registers while one is multiplied.</remarks>
internal static class MatrixTensorTile
{
    private const int Tile = 64;
    private const int StageDepth = 16;
    private const int Pitch = Tile + 4;
    private const int Panel = StageDepth * Pitch;

    public static void Multiply<TTile, TOrderA, TOrderB>(MatrixTileArguments s)
        where TTile : struct, IDoubleTile
        where TOrderA : struct, IOperandOrder
        where TOrderB : struct, IOperandOrder
    {
        var shared = SharedMemory.Allocate<double>(2 * Panel);
        var memory = TTile.Open();
        int thread = Group.IdxX, lane = thread & 31, warp = thread >> 5;
        MatrixTile.Origin(s, out int top, out int left);
        int warpLine = (warp >> 1) << 5, warpColumn = (warp & 1) << 5;
        int a = ((lane & 3) * Pitch) + warpLine + (lane >> 2), b = Panel + ((lane & 3) * Pitch) + warpColumn + (lane >> 2);

        Read<TOrderA>(s.A, s.PitchA, top, s.M, 0, s.K, thread, out var a0, out var a1);
        Read<TOrderB>(s.B, s.PitchB, left, s.N, 0, s.K, thread, out var b0, out var b1);
        for (int depth = 0; depth < s.K; depth += StageDepth)
        {
            Write<TOrderA>(shared, 0, thread, a0, a1);
            Write<TOrderB>(shared, Panel, thread, b0, b1);
            Group.Barrier();
            Read<TOrderA>(s.A, s.PitchA, top, s.M, depth + StageDepth, s.K, thread, out a0, out a1);
            Read<TOrderB>(s.B, s.PitchB, left, s.N, depth + StageDepth, s.K, thread, out b0, out b1);
            TTile.Step(memory, Fragments(shared, a), Fragments(shared, b));
            TTile.Step(memory, Fragments(shared, a + (4 * Pitch)), Fragments(shared, b + (4 * Pitch)));
            TTile.Step(memory, Fragments(shared, a + (8 * Pitch)), Fragments(shared, b + (8 * Pitch)));
            TTile.Step(memory, Fragments(shared, a + (12 * Pitch)), Fragments(shared, b + (12 * Pitch)));
            Group.Barrier();
        }

        int row = top + warpLine + (lane >> 2), column = left + warpColumn + ((lane & 3) << 1);
        StoreLine<TTile>(s, memory, row, column, 0);
        StoreLine<TTile>(s, memory, row + 8, column, 8);
        StoreLine<TTile>(s, memory, row + 16, column, 16);
        StoreLine<TTile>(s, memory, row + 24, column, 24);
    }

    private static D4 Fragments(ArrayView<double> shared, int at)
    {
        D4 fragments;
        fragments.X = shared[at];
        fragments.Y = shared[at + 8];
        fragments.Z = shared[at + 16];
        fragments.W = shared[at + 24];
        return fragments;
    }

    /// <summary>Reads this thread's eight values of a panel, neighbouring ones by neighbouring threads; zeros past the matrix.</summary>
    private static void Read<TOrder>(ArrayView<double> source, int pitch, int firstLine, int lines, int firstDepth, int depths, int thread,
        out D4 first, out D4 second)
        where TOrder : struct, IOperandOrder
    {
        int depth = firstDepth + DepthOf<TOrder>(thread), line = firstLine + LineOf<TOrder>(thread);
        first.X = Value<TOrder>(source, pitch, line, lines, depth, depths, 0);
        first.Y = Value<TOrder>(source, pitch, line, lines, depth, depths, 1);
        first.Z = Value<TOrder>(source, pitch, line, lines, depth, depths, 2);
        first.W = Value<TOrder>(source, pitch, line, lines, depth, depths, 3);
        second.X = Value<TOrder>(source, pitch, line, lines, depth, depths, 4);
        second.Y = Value<TOrder>(source, pitch, line, lines, depth, depths, 5);
        second.Z = Value<TOrder>(source, pitch, line, lines, depth, depths, 6);
        second.W = Value<TOrder>(source, pitch, line, lines, depth, depths, 7);
    }

    private static double Value<TOrder>(ArrayView<double> source, int pitch, int line, int lines, int depth, int depths, int pass)
        where TOrder : struct, IOperandOrder
    {
        int l = line + (pass * LineStep<TOrder>()), d = depth + (pass * DepthStep<TOrder>());
        double value = 0;
        if (l < lines && d < depths)
            value = source[TOrder.ColumnsAreDepth ? (l * pitch) + d : (d * pitch) + l];
        return value;
    }

    private static void Write<TOrder>(ArrayView<double> shared, int panel, int thread, in D4 first, in D4 second)
        where TOrder : struct, IOperandOrder
    {
        int at = panel + (DepthOf<TOrder>(thread) * Pitch) + LineOf<TOrder>(thread);
        int step = (DepthStep<TOrder>() * Pitch) + LineStep<TOrder>();
        shared[at] = first.X;
        shared[at + step] = first.Y;
        shared[at + (2 * step)] = first.Z;
        shared[at + (3 * step)] = first.W;
        shared[at + (4 * step)] = second.X;
        shared[at + (5 * step)] = second.Y;
        shared[at + (6 * step)] = second.Z;
        shared[at + (7 * step)] = second.W;
    }

    private static int DepthOf<TOrder>(int thread)
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? thread & 15 : thread >> 6;

    private static int LineOf<TOrder>(int thread)
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? thread >> 4 : thread & 63;

    private static int DepthStep<TOrder>()
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? 0 : 2;

    private static int LineStep<TOrder>()
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? 8 : 0;

    /// <param name="s">The launch.</param>
    /// <param name="memory">Of the tile.</param>
    /// <param name="row">The lane's row of the result.</param>
    /// <param name="column">The lane's first column.</param>
    /// <param name="first">The row's first sum; a constant.</param>
    private static void StoreLine<TTile>(in MatrixTileArguments s, DoubleMemory memory, int row, int column, int first)
        where TTile : struct, IDoubleTile
    {
        if (row < s.M)
        {
            MatrixTile.Store(s, row, column, TTile.Sum(memory, first));
            MatrixTile.Store(s, row, column + 1, TTile.Sum(memory, first + 1));
            MatrixTile.Store(s, row, column + 8, TTile.Sum(memory, first + 2));
            MatrixTile.Store(s, row, column + 9, TTile.Sum(memory, first + 3));
            MatrixTile.Store(s, row, column + 16, TTile.Sum(memory, first + 4));
            MatrixTile.Store(s, row, column + 17, TTile.Sum(memory, first + 5));
            MatrixTile.Store(s, row, column + 24, TTile.Sum(memory, first + 6));
            MatrixTile.Store(s, row, column + 25, TTile.Sum(memory, first + 7));
        }
    }
}

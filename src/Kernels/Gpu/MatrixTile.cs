using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Four sums of one row.</summary>
internal struct D4
{
    public double X, Y, Z, W;

    public static void AddRow(ref D4 sum, double row, in D4 columns)
    {
        sum.X += row * columns.X;
        sum.Y += row * columns.Y;
        sum.Z += row * columns.Z;
        sum.W += row * columns.W;
    }
}

/// <summary>What one launch of <see cref="MatrixTile"/> is given.</summary>
internal struct MatrixTileArguments
{
    public ArrayView<double> A, B, Addend, C;
    public int M, N, K;

    /// <summary>Values from one stored row of the operand to the next.</summary>
    public int PitchA, PitchB;

    /// <summary>Values from one row of the result, and of the addend, to the next.</summary>
    public int PitchC;

    public double Alpha, Beta, Gamma;

    /// <summary>Tiles beside each other: of a symmetric result those of the folded triangle.</summary>
    public int ColumnTiles;

    public int Symmetric;
}

/// <summary>Matrix products in double precision on every kind of device.</summary>
/// <remarks>A group of 128 threads makes a tile of 64 rows × 64 columns. Depth passes in stages of 16 through shared memory (two panels
/// [16][65] doubles, 16,640 bytes; the 65th keeps transposed stores off each other's banks). Thread t sums rows (t / 16)·8 + {0..7} ×
/// columns t % 16 + {0, 16, 32, 48}: 32 multiply-adds for 12 reads, of which eight are the same for sixteen threads. A sum runs over the
/// depth in order.
/// Of a symmetric result only tiles on and below the diagonal are made: the triangle of T × T tiles, T even, is folded into a rectangle
/// of T + 1 rows and T / 2 columns, and every sum below the diagonal is stored twice.</remarks>
internal static class MatrixTile
{
    public const int Threads = 128;
    private const int Tile = 64;
    private const int TileShift = 6;
    private const int StageDepth = 16;
    private const int Pitch = Tile + 1;

    public static int Tiles(int extent) => (extent + Tile - 1) >> TileShift;

    /// <summary>The number of tiles, rounded up to an even one.</summary>
    public static int EvenTiles(int extent) => (Tiles(extent) + 1) & ~1;

    public static void Multiply<TOrderA, TOrderB>(MatrixTileArguments s)
        where TOrderA : struct, IOperandOrder
        where TOrderB : struct, IOperandOrder
    {
        var shared = SharedMemory.Allocate<double>(2 * StageDepth * Pitch);
        int thread = Group.IdxX;
        Origin(s, out int top, out int left);
        int row = (thread >> 4) << 3, column = thread & 15;

        D4 r0 = default, r1 = default, r2 = default, r3 = default, r4 = default, r5 = default, r6 = default, r7 = default;
        for (int depth = 0; depth < s.K; depth += StageDepth)
        {
            Fetch<TOrderA>(shared, 0, s.A, s.PitchA, top, s.M, depth, s.K, thread);
            Fetch<TOrderB>(shared, StageDepth * Pitch, s.B, s.PitchB, left, s.N, depth, s.K, thread);
            Group.Barrier();
            int a = row, b = (StageDepth * Pitch) + column;
            for (int k = 0; k < StageDepth; k++)
            {
                D4 columns;
                columns.X = shared[b];
                columns.Y = shared[b + 16];
                columns.Z = shared[b + 32];
                columns.W = shared[b + 48];
                D4.AddRow(ref r0, shared[a], columns);
                D4.AddRow(ref r1, shared[a + 1], columns);
                D4.AddRow(ref r2, shared[a + 2], columns);
                D4.AddRow(ref r3, shared[a + 3], columns);
                D4.AddRow(ref r4, shared[a + 4], columns);
                D4.AddRow(ref r5, shared[a + 5], columns);
                D4.AddRow(ref r6, shared[a + 6], columns);
                D4.AddRow(ref r7, shared[a + 7], columns);
                a += Pitch;
                b += Pitch;
            }
            Group.Barrier();
        }

        row += top;
        column += left;
        Store(s, row, column, r0);
        Store(s, row + 1, column, r1);
        Store(s, row + 2, column, r2);
        Store(s, row + 3, column, r3);
        Store(s, row + 4, column, r4);
        Store(s, row + 5, column, r5);
        Store(s, row + 6, column, r6);
        Store(s, row + 7, column, r7);
    }

    /// <summary>First row and column of this group's tile.</summary>
    public static void Origin(in MatrixTileArguments s, out int top, out int left)
    {
        int tileRow = Grid.IdxX / s.ColumnTiles, tileColumn = Grid.IdxX - (tileRow * s.ColumnTiles);
        if (s.Symmetric != 0)
        {
            int last = (2 * s.ColumnTiles) - 1;
            bool folded = tileRow <= tileColumn;
            tileRow = folded ? last - tileRow : tileRow - 1;
            tileColumn = folded ? last - tileColumn : tileColumn;
        }
        top = tileRow << TileShift;
        left = tileColumn << TileShift;
    }

    /// <summary>Copies 16 × 64 values into the panel [depth][line]: eight a thread, neighbouring values by neighbouring threads.</summary>
    private static void Fetch<TOrder>(ArrayView<double> shared, int panel, ArrayView<double> source, int pitch, int firstLine, int lines,
        int firstDepth, int depths, int thread)
        where TOrder : struct, IOperandOrder
    {
        int depth = TOrder.ColumnsAreDepth ? thread & 15 : thread >> 6, line = TOrder.ColumnsAreDepth ? thread >> 4 : thread & 63;
        for (int i = 0; i < 8; i++)
        {
            int sourceLine = firstLine + line, sourceDepth = firstDepth + depth;
            double value = 0;
            if (sourceLine < lines && sourceDepth < depths)
                value = source[TOrder.ColumnsAreDepth ? (sourceLine * pitch) + sourceDepth : (sourceDepth * pitch) + sourceLine];
            shared[panel + (depth * Pitch) + line] = value;
            if (TOrder.ColumnsAreDepth)
                line += 8;
            else
                depth += 2;
        }
    }

    private static void Store(in MatrixTileArguments s, int row, int column, in D4 sums)
    {
        if (row < s.M)
        {
            Store(s, row, column, sums.X);
            Store(s, row, column + 16, sums.Y);
            Store(s, row, column + 32, sums.Z);
            Store(s, row, column + 48, sums.W);
        }
    }

    /// <summary>Scales a sum of a row within the result, adds what is to be added, and stores it,
    /// of a symmetric result on both sides.</summary>
    public static void Store(in MatrixTileArguments s, int row, int column, double sum)
    {
        if (column < s.N && (s.Symmetric == 0 || column <= row))
        {
            int at = (row * s.PitchC) + column;
            double value = s.Alpha * sum;
            if (s.Beta != 0)
                value += s.Beta * s.Addend[at];
            if (row == column)
                value += s.Gamma;
            s.C[at] = value;
            if (s.Symmetric != 0 && column < row)
                s.C[(column * s.PitchC) + row] = value;
        }
    }
}

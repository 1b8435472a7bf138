using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Sizes of one matrix product on the device.</summary>
internal struct GemmShape
{
    /// <summary>Rows of the result.</summary>
    public int Lines;

    /// <summary>Columns of the result.</summary>
    public int Columns;

    /// <summary>Terms of each sum.</summary>
    public int Depth;

    /// <summary>Products side by side: the matrices of a batch, or the parts that a sum is split into.</summary>
    public int Slices;

    /// <summary>Terms that one slice sums: a multiple of <see cref="DepthSplit.Unit"/>, or all of them.</summary>
    public int SliceDepth;

    /// <summary>First term of slice i is i times this: 0 for a batch, <see cref="SliceDepth"/> for a split sum.</summary>
    public int SliceStep;
}

/// <summary>Which index of a source runs along the depth of the product.</summary>
internal interface IOperandOrder
{
    /// <summary>True where a source's columns are the depth, false where its rows are.</summary>
    static abstract bool ColumnsAreDepth { get; }
}

internal struct ColumnsAreDepth : IOperandOrder
{
    static bool IOperandOrder.ColumnsAreDepth => true;
}

internal struct RowsAreDepth : IOperandOrder
{
    static bool IOperandOrder.ColumnsAreDepth => false;
}

/// <summary>Where sums go.</summary>
internal interface IResult
{
    /// <summary>Whether lines are normalised as they are written. Then a line lies whole in one tile of <see cref="TileGemm"/>.</summary>
    static abstract bool NormalisesLines { get; }

    /// <summary>How; not asked for where <see cref="NormalisesLines"/> is false.</summary>
    LineNorm Norm { get; }

    /// <summary>Takes four sums of columns column..column+3; those outside the extents are to be dropped.</summary>
    /// <param name="slice">Which product.</param>
    /// <param name="line">Of the tile, in the product.</param>
    /// <param name="column">A multiple of four.</param>
    /// <param name="sums">Of four columns.</param>
    /// <param name="factor">What <see cref="Norm"/> multiplies the line by.</param>
    void Write(int slice, int line, int column, F4 sums, float factor);
}

/// <summary>What one launch of <see cref="ImplicitGemm"/> is given.</summary>
internal struct GemmArguments<TLeft, TRight, TResult>
    where TLeft : struct, IOperandSource
    where TRight : struct, IOperandSource
    where TResult : struct, IResult
{
    public TLeft Left;
    public TRight Right;
    public TResult Result;
    public GemmShape Shape;
}

/// <summary>
/// The one matrix product of the portable backend: convolution, both its gradients and plain products differ in the operands' sources
/// and in the result only.
/// </summary>
/// <remarks>A group of 64 threads makes a tile of 64 lines × 64 columns. Depth passes in stages of 8 through shared memory
/// (two stages × two panels [8][68] floats, 8,704 bytes; 4 floats of padding keep the transposed stores off each other's banks).
/// Thread t sums lines (t / 8)·4 + {0..3, 32..35} × columns (t % 8)·4 + {0..3, 32..35}: 64 multiply-adds for four 16-byte reads.
/// The next stage travels in registers while this one is multiplied: one barrier a stage.
/// An output's sum runs over depth in order.</remarks>
internal static class ImplicitGemm
{
    public const int Threads = 64;
    public const int Tile = 64;
    public const int TileShift = 6;
    public const int StageDepth = 8;
    private const int Pitch4 = 17;
    private const int Pitch = 4 * Pitch4;
    private const int Panel4 = StageDepth * Pitch4;

    public static void Multiply<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(GemmArguments<TLeft, TRight, TResult> arguments)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        var shared = SharedMemory.Allocate<F4>(4 * Panel4);
        var left = arguments.Left;
        var right = arguments.Right;
        var result = arguments.Result;
        var s = arguments.Shape;
        int thread = Group.IdxX;
        // Neighbouring groups share the left operand, which is the larger one (the image).
        int columnTiles = TileSize.Tiles(s.Columns, TileShift), lineTiles = TileSize.Tiles(s.Lines, TileShift);
        int rest = Grid.IdxX / columnTiles;
        int slice = rest / lineTiles;
        int firstLine = (rest - (slice * lineTiles)) << TileShift;
        int firstColumn = (Grid.IdxX - (rest * columnTiles)) << TileShift;
        int begin = slice * s.SliceStep;
        int end = Math.Min(s.Depth, begin + s.SliceDepth);

        int stage = 0;
        Tile8x8 sum = default;
        F8 nextLeft = Fetch<TLeft, TLeftOrder>(left, slice, firstLine, begin, thread);
        F8 nextRight = Fetch<TRight, TRightOrder>(right, slice, firstColumn, begin, thread);
        for (int depth = begin; depth < end; depth += StageDepth)
        {
            Put<TLeftOrder>(shared, stage, nextLeft, thread);
            Put<TRightOrder>(shared, stage + Panel4, nextRight, thread);
            Group.Barrier();
            if (depth + StageDepth < end)
            {
                nextLeft = Fetch<TLeft, TLeftOrder>(left, slice, firstLine, depth + StageDepth, thread);
                nextRight = Fetch<TRight, TRightOrder>(right, slice, firstColumn, depth + StageDepth, thread);
            }
            int row = stage + (thread >> 3), column = stage + Panel4 + (thread & 7);
            for (int k = 0; k < StageDepth; k += 2)
            {
                AddStep(ref sum, shared, row, column);
                AddStep(ref sum, shared, row + Pitch4, column + Pitch4);
                row += 2 * Pitch4;
                column += 2 * Pitch4;
            }
            stage = (2 * Panel4) - stage;
        }

        Store(result, shared, sum.R0, sum.R4, slice, firstLine, firstColumn, thread);
        Store(result, shared, sum.R1, sum.R5, slice, firstLine + 1, firstColumn, thread);
        Store(result, shared, sum.R2, sum.R6, slice, firstLine + 2, firstColumn, thread);
        Store(result, shared, sum.R3, sum.R7, slice, firstLine + 3, firstColumn, thread);
    }

    /// <summary>Reads this thread's two pieces of four of a panel's 8 × 64 values, lines 32 apart.</summary>
    /// <remarks>Two threads read 32 neighbouring bytes of a line where the columns are the depth, else eight threads 128.</remarks>
    private static F8 Fetch<TSource, TOrder>(TSource source, int slice, int firstLine, int firstDepth, int thread)
        where TSource : struct, IOperandSource
        where TOrder : struct, IOperandOrder
    {
        F8 pieces;
        if (TOrder.ColumnsAreDepth)
        {
            int line = firstLine + (thread >> 1), depth = firstDepth + ((thread & 1) << 2);
            pieces.Low = OperandSource<TSource>.Read(source, slice, line, depth);
            pieces.High = OperandSource<TSource>.Read(source, slice, line + 32, depth);
        }
        else
        {
            int line = firstLine + ((thread & 7) << 2), depth = firstDepth + (thread >> 3);
            pieces.Low = OperandSource<TSource>.Read(source, slice, depth, line);
            pieces.High = OperandSource<TSource>.Read(source, slice, depth, line + 32);
        }
        return pieces;
    }

    /// <summary>Puts the pieces into the panel [depth][line] that starts at <paramref name="panel"/> (in units of four floats).</summary>
    private static void Put<TOrder>(ArrayView<F4> shared, int panel, F8 pieces, int thread)
        where TOrder : struct, IOperandOrder
    {
        if (TOrder.ColumnsAreDepth)
        {
            int at = (4 * panel) + ((thread & 1) * 4 * Pitch) + (thread >> 1);
            PutColumn(shared, at, pieces.Low);
            PutColumn(shared, at + 32, pieces.High);
        }
        else
        {
            int at = panel + ((thread >> 3) * Pitch4) + (thread & 7);
            shared[at] = pieces.Low;
            shared[at + 8] = pieces.High;
        }
    }

    private static void PutColumn(ArrayView<F4> shared, int at, F4 piece)
    {
        var floats = shared.Cast<float>();
        floats[at] = piece.X;
        floats[at + Pitch] = piece.Y;
        floats[at + (2 * Pitch)] = piece.Z;
        floats[at + (3 * Pitch)] = piece.W;
    }

    private static void AddStep(ref Tile8x8 sum, ArrayView<F4> shared, int row, int column)
    {
        F8 rows, columns;
        rows.Low = shared[row];
        rows.High = shared[row + 8];
        columns.Low = shared[column];
        columns.High = shared[column + 8];
        Tile8x8.AddProduct(ref sum, rows, columns);
    }

    /// <summary>Hands 16 lines (every fourth) to the result, through shared memory, so that a line's 256 bytes leave together.</summary>
    private static void Store<TResult>(TResult result, ArrayView<F4> shared, F8 low, F8 high, int slice, int firstLine, int firstColumn,
        int thread)
        where TResult : struct, IResult
    {
        int at = ((thread >> 3) << 4) + (thread & 7);
        Group.Barrier();
        shared[at] = low.Low;
        shared[at + 8] = low.High;
        shared[at + 128] = high.Low;
        shared[at + 136] = high.High;
        Group.Barrier();
        for (int piece = thread; piece < 256; piece += Threads)
            result.Write(slice, firstLine + ((piece >> 4) << 2), firstColumn + ((piece & 15) << 2), shared[piece], 1);
    }
}

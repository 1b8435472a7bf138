using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The one matrix product on tensor cores: like <see cref="ImplicitGemm"/> it serves convolution, both its gradients and plain products,
/// which differ in the operands' sources and in the result only.
/// </summary>
/// <remarks>Depth passes in stages of 16 through shared memory. While one stage is multiplied, the copies of the next two are under way;
/// one barrier a stage both shows what has landed and frees the stage that was used last. A warp multiplies a stage in two steps of
/// depth 8. An output's sum runs over depth in order, eight terms at a time, whatever the tile; values of 32 bits are rounded to TF32
/// as they become fragments, sums are of 32 bits.</remarks>
internal static class TileGemm
{
    public static void Multiply<TTile, TShape, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        var memory = TTile.Open();
        var left = arguments.Left;
        var right = arguments.Right;
        var s = arguments.Shape;
        // Neighbouring groups share the left operand, which is the larger one (the image).
        int columnTiles = TileSize.Tiles(s.Columns, TShape.ColumnShift), lineTiles = TileSize.Tiles(s.Lines, TShape.LineShift);
        int rest = Grid.IdxX / columnTiles;
        int slice = rest / lineTiles;
        int firstLine = (rest - (slice * lineTiles)) << TShape.LineShift;
        int firstColumn = (Grid.IdxX - (rest * columnTiles)) << TShape.ColumnShift;
        int begin = slice * s.SliceStep;
        int end = Math.Min(s.Depth, begin + s.SliceDepth);

        int rightPanel = TileLayout.LineBytes << TShape.LineShift;
        var leftPlaces = TileCopy<TLeft, TLeftOrder>.Anchor<TShape>(left, slice, firstLine, TShape.LineShift);
        var rightPlaces = TileCopy<TRight, TRightOrder>.Anchor<TShape>(right, slice, firstColumn, TShape.ColumnShift);
        int copied = begin, fill = 0;
        for (int stage = 1; stage < TShape.Stages; stage++)
        {
            TileCopy<TLeft, TLeftOrder>.Copy<TTile, TShape>(memory, left, leftPlaces, slice, copied, end, fill, TShape.LineShift);
            TileCopy<TRight, TRightOrder>.Copy<TTile, TShape>(memory, right, rightPlaces, slice, copied, end, fill + rightPanel,
                TShape.ColumnShift);
            TTile.Commit();
            copied += TileLayout.StageDepth;
            fill += TileShape<TShape>.StageBytes;
        }

        int lane = Group.IdxX & 31, warp = Group.IdxX >> 5;
        int warpLine = (warp >> TShape.WarpColumnShift) << TileShape<TShape>.LinesOfWarpShift;
        int warpColumn = (warp & ((1 << TShape.WarpColumnShift) - 1)) << TileShape<TShape>.ColumnsOfWarpShift;
        int leftAddress = TileLayout.LeftAddress<TLeftOrder>(lane, warpLine, TShape.LineShift);
        int rightAddress = rightPanel + TileLayout.RightAddress<TRightOrder>(lane, warpColumn, TShape.ColumnShift);
        int use = 0;
        for (int depth = begin; depth < end; depth += TileLayout.StageDepth)
        {
            TTile.Wait();
            Group.Barrier();
            TileCopy<TLeft, TLeftOrder>.Copy<TTile, TShape>(memory, left, leftPlaces, slice, copied, end, fill, TShape.LineShift);
            TileCopy<TRight, TRightOrder>.Copy<TTile, TShape>(memory, right, rightPlaces, slice, copied, end, fill + rightPanel,
                TShape.ColumnShift);
            TTile.Commit();
            TTile.LoadLeft<TLeftOrder>(memory, use + leftAddress, 0);
            TTile.LoadRight<TRightOrder>(memory, use + rightAddress, 0);
            TTile.Step(memory);
            TTile.LoadLeft<TLeftOrder>(memory, use + leftAddress, 1);
            TTile.LoadRight<TRightOrder>(memory, use + rightAddress, 1);
            TTile.Step(memory);
            copied += TileLayout.StageDepth;
            fill = NextStage<TShape>(fill);
            use = NextStage<TShape>(use);
        }
        Store<TTile, TShape, TResult>(memory, arguments.Result, slice, firstLine, firstColumn, warpLine, warpColumn);
    }

    private static int NextStage<TShape>(int stage)
        where TShape : struct, ITileShape
    {
        int next = stage + TileShape<TShape>.StageBytes;
        return next == TShape.Stages * TileShape<TShape>.StageBytes ? 0 : next;
    }

    /// <summary>
    /// The epilogue. Sums leave the registers through shared memory, 16 lines of every warp at a time, so that neighbouring threads hand
    /// neighbouring columns to the result.
    /// </summary>
    private static void Store<TTile, TShape, TResult>(TileMemory memory, TResult result, int slice, int firstLine, int firstColumn,
        int warpLine, int warpColumn)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
        where TResult : struct, IResult
    {
        int pitch = TileLayout.SpillPitch<TShape>();
        int lane = Group.IdxX & 31;
        int warpLines = (warpLine >> TileShape<TShape>.LinesOfWarpShift) << 4;
        int word = ((warpLines + (lane >> 2)) * pitch) + warpColumn + ((lane & 3) << 1);
        TTile.Drain();
        for (int fragment = 0; fragment < TileShape<TShape>.LeftFragments; fragment++)
        {
            Group.Barrier();
            TTile.Spill(memory, fragment, word);
            Group.Barrier();
            for (int i = Group.IdxX; i < 16 << (TShape.WarpLineShift + TShape.ColumnShift - 2); i += TileShape<TShape>.Threads)
            {
                int spilled = i >> (TShape.ColumnShift - 2);
                int column = (i & ((1 << (TShape.ColumnShift - 2)) - 1)) << 2;
                int line = ((spilled >> 4) << TileShape<TShape>.LinesOfWarpShift) + (fragment << 4) + (spilled & 15);
                result.Write(slice, firstLine + line, firstColumn + column, memory.Shared[((spilled * pitch) + column) >> 2]);
            }
        }
    }
}

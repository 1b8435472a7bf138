using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The one matrix product on tensor cores: like <see cref="ImplicitGemm"/> it serves convolution, both its gradients and plain products,
/// which differ in the operands' sources and in the result only.
/// </summary>
/// <remarks>Depth passes in stages of 64 bytes through shared memory. While one stage is multiplied, the copies of the next two are under
/// way; one barrier a stage both shows what has landed and frees the stage that was used last. A warp multiplies a stage in two steps.
/// An output's sum runs over depth in order, eight words at a time, whatever the tile; sums are of 32 bits.</remarks>
internal static class TileGemm
{
    public static void Multiply<TTile, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
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

        int stageDepth = TileLayout.StageDepth<TElement>();
        int rightPanel = TileLayout.LineBytes << TShape.LineShift;
        var leftPlaces = TileCopy<TElement, TLeft, TLeftOrder>.Anchor<TTile>(left, slice, firstLine, 0, TShape.LineShift);
        var rightPlaces = TileCopy<TElement, TRight, TRightOrder>.Anchor<TTile>(right, slice, firstColumn, rightPanel,
            TShape.ColumnShift);
        for (int stage = 0; stage < TileLayout.Stages - 1; stage++)
        {
            int depth = begin + (stage * stageDepth), start = stage * TileShape<TShape>.StageBytes;
            TileCopy<TElement, TLeft, TLeftOrder>.Copy<TTile>(memory, left, leftPlaces, slice, depth, end, start, TShape.LineShift);
            TileCopy<TElement, TRight, TRightOrder>.Copy<TTile>(memory, right, rightPlaces, slice, depth, end, start, TShape.ColumnShift);
            TTile.Commit();
        }

        int lane = Group.IdxX & 31, warp = Group.IdxX >> 5;
        int warpLine = (warp >> 1) << TileShape<TShape>.LinesOfWarpShift;
        int warpColumn = (warp & 1) << TileShape<TShape>.ColumnsOfWarpShift;
        memory = TTile.Anchor(memory,
            TileLayout.LeftAddress<TElement, TLeftOrder>(lane, warpLine),
            rightPanel + TileLayout.RightAddress<TElement, TRightOrder>(lane, warpColumn));
        int use = 0, fill = (TileLayout.Stages - 1) * TileShape<TShape>.StageBytes;
        for (int depth = begin; depth < end; depth += stageDepth)
        {
            TTile.Wait();
            Group.Barrier();
            int ahead = depth + ((TileLayout.Stages - 1) * stageDepth);
            TileCopy<TElement, TLeft, TLeftOrder>.Copy<TTile>(memory, left, leftPlaces, slice, ahead, end, fill, TShape.LineShift);
            TileCopy<TElement, TRight, TRightOrder>.Copy<TTile>(memory, right, rightPlaces, slice, ahead, end, fill, TShape.ColumnShift);
            TTile.Commit();
            TTile.LoadLeft<TLeftOrder>(memory, use, 0);
            TTile.LoadRight<TRightOrder>(memory, use, 0);
            TTile.Step(memory);
            TTile.LoadLeft<TLeftOrder>(memory, use, 1);
            TTile.LoadRight<TRightOrder>(memory, use, 1);
            TTile.Step(memory);
            // The stage that was used is filled next.
            fill = use;
            use = NextStage<TShape>(use);
        }
        Store<TTile, TShape, TElement, TLeftOrder, TResult>(memory, arguments.Result, slice, firstLine, firstColumn, warpLine, warpColumn);
    }

    private static int NextStage<TShape>(int stage)
        where TShape : struct, ITileShape
    {
        int next = stage + TileShape<TShape>.StageBytes;
        return next == TileShape<TShape>.SharedBytes ? 0 : next;
    }

    /// <summary>
    /// The epilogue. Sums leave the registers through shared memory, 16 lines of every warp at a time, so that neighbouring threads hand
    /// neighbouring columns to the result.
    /// </summary>
    private static void Store<TTile, TShape, TElement, TLeftOrder, TResult>(TileMemory memory, TResult result, int slice, int firstLine,
        int firstColumn, int warpLine, int warpColumn)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        int pitch = TileLayout.SpillPitch<TShape, TElement, TLeftOrder>();
        int lane = Group.IdxX & 31;
        int warpLines = (warpLine >> TileShape<TShape>.LinesOfWarpShift) << 4;
        int word = ((warpLines + TileLayout.SpillLine<TElement, TLeftOrder>(lane)) * pitch) + warpColumn + ((lane & 3) << 1);
        TTile.Drain();
        for (int fragment = 0; fragment < TileShape<TShape>.LeftFragments; fragment++)
        {
            Group.Barrier();
            TTile.Spill<TLeftOrder>(memory, fragment, word);
            Group.Barrier();
            if (TResult.NormalisesLines)
                TileLines.Measure<TElement>(memory.Shared, result.Norm, pitch);
            for (int i = Group.IdxX; i < TileLayout.SpilledLines << (TShape.ColumnShift - 2); i += TileLayout.Threads)
            {
                int spilled = i >> (TShape.ColumnShift - 2);
                int column = (i & ((1 << (TShape.ColumnShift - 2)) - 1)) << 2;
                int line = ((spilled >> 4) << TileShape<TShape>.LinesOfWarpShift) + (fragment << 4) + (spilled & 15);
                var sums = F4.Scale(memory.Shared[((spilled * pitch) + column) >> 2], TElement.Correction);
                float factor = TResult.NormalisesLines ? TileLines.Factor(memory.Shared, pitch, spilled) : 1;
                result.Write(slice, firstLine + line, firstColumn + column, sums, factor);
            }
        }
    }
}

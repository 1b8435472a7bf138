using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The one matrix product on tensor cores: like <see cref="ImplicitGemm"/> it serves convolution, both its gradients and plain products,
/// which differ in the operands' sources and in the result only.
/// </summary>
/// <remarks>Depth passes in stages of 64 bytes through shared memory. While one stage is multiplied, the copies of the next two are under
/// way; one barrier a stage both shows what has landed and frees the stage that was used last. A stage is multiplied in two steps.
/// Steps that run on by themselves come before the copies, which are started meanwhile: those go to the stage before, whose steps every
/// thread waited for ahead of the barrier, so no step's operand is overwritten.
/// An output's sum runs over depth in order, eight words at a time, and is of 32 bits. In which order those eight words are added is the
/// instruction's affair: the tiles of one kind of instruction give the same bits, and another kind may differ in the last.</remarks>
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
        int tile = Grid.IdxX / columnTiles;
        int slice = tile / lineTiles;
        int firstLine = (tile - (slice * lineTiles)) << TShape.LineShift;
        int firstColumn = (Grid.IdxX - (tile * columnTiles)) << TShape.ColumnShift;
        int begin = slice * s.SliceStep;
        int end = Math.Min(s.Depth, begin + s.SliceDepth);

        int stageDepth = TileLayout.StageDepth<TElement>();
        var leftPlaces = TileCopy<TElement, TLeft, TLeftOrder>.Anchor<TTile>(left, slice, firstLine, begin, TShape.LineShift);
        var rightPlaces = TileCopy<TElement, TRight, TRightOrder>.Anchor<TTile>(right, slice, firstColumn, begin,
            TShape.ColumnShift);
        // One register each for what is the same.
        if (TLeftOrder.ColumnsAreDepth == TRightOrder.ColumnsAreDepth)
            (rightPlaces.Depth, rightPlaces.Target) = (leftPlaces.Depth, leftPlaces.Target);
        for (int stage = 0; stage < TileLayout.Stages - 1; stage++)
        {
            int rest = end - begin - (stage * stageDepth), start = stage * TileShape<TShape>.StageBytes;
            TileCopy<TElement, TLeft, TLeftOrder>.Copy<TTile>(memory, left, ref leftPlaces, rest, start, TShape.LineShift);
            TileCopy<TElement, TRight, TRightOrder>.Copy<TTile>(memory, right, ref rightPlaces, rest, start + TileShape<TShape>.LeftBytes,
                TShape.ColumnShift);
            TTile.Commit();
        }

        memory = TTile.Anchor<TLeftOrder, TRightOrder>(memory);
        int use = 0, fill = (TileLayout.Stages - 1) * TileShape<TShape>.StageBytes;
        int lead = (TileLayout.Stages - 1) * stageDepth;
        for (int ahead = end - begin - lead; ahead > -lead; ahead -= stageDepth)
        {
            TTile.Wait(memory);
            Group.Barrier();
            if (TTile.IsAsynchronous)
                Step<TTile, TLeftOrder, TRightOrder>(memory, use);
            TileCopy<TElement, TLeft, TLeftOrder>.Copy<TTile>(memory, left, ref leftPlaces, ahead, fill, TShape.LineShift);
            TileCopy<TElement, TRight, TRightOrder>.Copy<TTile>(memory, right, ref rightPlaces, ahead, fill + TileShape<TShape>.LeftBytes,
                TShape.ColumnShift);
            TTile.Commit();
            if (!TTile.IsAsynchronous)
                Step<TTile, TLeftOrder, TRightOrder>(memory, use);
            // The stage that was used is filled next.
            fill = use;
            use = NextStage<TShape>(use);
        }
        Store<TTile, TShape, TElement, TLeftOrder, TResult>(memory, arguments.Result, slice, firstLine, firstColumn);
    }

    private static void Step<TTile, TLeftOrder, TRightOrder>(TileMemory memory, int stage)
        where TTile : struct, ITile
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        TTile.Step<TLeftOrder, TRightOrder>(memory, stage, 0);
        TTile.Step<TLeftOrder, TRightOrder>(memory, stage, 1);
    }

    private static int NextStage<TShape>(int stage)
        where TShape : struct, ITileShape
    {
        int next = stage + TileShape<TShape>.StageBytes;
        return next == TileShape<TShape>.SharedBytes ? 0 : next;
    }

    /// <summary>
    /// The epilogue. Sums leave the registers through shared memory, 32 lines at a time, so that neighbouring threads hand neighbouring
    /// columns to the result.
    /// </summary>
    private static void Store<TTile, TShape, TElement, TLeftOrder, TResult>(TileMemory memory, TResult result, int slice, int firstLine,
        int firstColumn)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        int pitch = TileLayout.SpillPitch<TShape, TElement, TLeftOrder>();
        int word = TTile.SpillWord<TLeftOrder>();
        TTile.Drain(memory);
        for (int part = 0; part < 1 << (TShape.LineShift - 5); part++)
        {
            Group.Barrier();
            TTile.Spill<TLeftOrder>(memory, part, word);
            Group.Barrier();
            if (TResult.NormalisesLines)
                TileLines.Measure<TElement>(memory.Shared, result.Norm, pitch);
            for (int i = Group.IdxX; i < TileLayout.SpilledLines << (TShape.ColumnShift - 2); i += TileLayout.Threads)
            {
                int spilled = i >> (TShape.ColumnShift - 2);
                int column = (i & ((1 << (TShape.ColumnShift - 2)) - 1)) << 2;
                var sums = F4.Scale(memory.Shared[((spilled * pitch) + column) >> 2], TElement.Correction);
                float factor = TResult.NormalisesLines ? TileLines.Factor(memory.Shared, pitch, spilled) : 1;
                result.Write(slice, firstLine + TTile.SpilledLine(part, spilled), firstColumn + column, sums, factor);
            }
        }
    }
}

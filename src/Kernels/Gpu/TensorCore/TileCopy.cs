using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What a thread keeps of an operand all the time: up to eight lines where columns are the depth, else its column.</summary>
internal struct TilePlaces
{
    public SourcePlace P0, P1, P2, P3, P4, P5, P6, P7;
}

/// <summary>Copies a stage's panel of one operand, gathering it from its source.</summary>
/// <remarks>Neighbouring threads copy neighbouring vectors (16 bytes, or 4 where the source is not four wide) as they lie in memory, in
/// 1 to 8 passes. Where columns are the depth, a thread copies one column of the stage for a line a pass; where rows
/// are the depth, one column of the panel for a depth a pass. So a copy costs an addition, a comparison or two and its address.</remarks>
internal static class TileCopy<TSource, TOrder>
    where TSource : struct, IOperandSource
    where TOrder : struct, IOperandOrder
{
    private static int WidthShift => TSource.IsFour ? 2 : 0;

    /// <summary>What stays the same from stage to stage.</summary>
    /// <param name="source">The operand.</param>
    /// <param name="slice">Which matrix of the batch.</param>
    /// <param name="first">First line (or column, of the right operand) of the tile.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    public static TilePlaces Anchor<TShape>(TSource source, int slice, int first, int extentShift)
        where TShape : struct, ITileShape
    {
        TilePlaces places = default;
        if (!TOrder.ColumnsAreDepth)
        {
            places.P0 = source.Column(first + (VectorOf(extentShift) << WidthShift));
            return places;
        }
        int line = first + PassOf(extentShift), step = LinesOfPass<TShape>(extentShift), passes = Passes<TShape>(extentShift);
        places.P0 = source.Row(slice, line);
        if (passes > 1)
            places.P1 = source.Row(slice, line + step);
        if (passes > 2)
        {
            places.P2 = source.Row(slice, line + (2 * step));
            places.P3 = source.Row(slice, line + (3 * step));
        }
        if (passes > 4)
        {
            places.P4 = source.Row(slice, line + (4 * step));
            places.P5 = source.Row(slice, line + (5 * step));
            places.P6 = source.Row(slice, line + (6 * step));
            places.P7 = source.Row(slice, line + (7 * step));
        }
        return places;
    }

    /// <summary>Starts the copies of one stage; zeros where the depth has ended.</summary>
    /// <param name="memory">Of the tile.</param>
    /// <param name="source">The operand.</param>
    /// <param name="places">From <see cref="Anchor"/>.</param>
    /// <param name="slice">Which matrix of the batch.</param>
    /// <param name="depth">First depth of the stage.</param>
    /// <param name="end">Where the depth of this slice ends.</param>
    /// <param name="panel">Byte of the panel.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    public static void Copy<TTile, TShape>(TileMemory memory, TSource source, in TilePlaces places, int slice, int depth, int end,
        int panel, int extentShift)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
    {
        int passes = Passes<TShape>(extentShift);
        var along = places.P0;
        if (TOrder.ColumnsAreDepth)
            along = source.Column(WithinDepth(depth + (VectorOf(extentShift) << WidthShift), end));
        CopyOne<TTile, TShape>(memory, source, places.P0, along, slice, depth, end, panel, extentShift, 0);
        if (passes > 1)
            CopyOne<TTile, TShape>(memory, source, places.P1, along, slice, depth, end, panel, extentShift, 1);
        if (passes > 2)
        {
            CopyOne<TTile, TShape>(memory, source, places.P2, along, slice, depth, end, panel, extentShift, 2);
            CopyOne<TTile, TShape>(memory, source, places.P3, along, slice, depth, end, panel, extentShift, 3);
        }
        if (passes > 4)
        {
            CopyOne<TTile, TShape>(memory, source, places.P4, along, slice, depth, end, panel, extentShift, 4);
            CopyOne<TTile, TShape>(memory, source, places.P5, along, slice, depth, end, panel, extentShift, 5);
            CopyOne<TTile, TShape>(memory, source, places.P6, along, slice, depth, end, panel, extentShift, 6);
            CopyOne<TTile, TShape>(memory, source, places.P7, along, slice, depth, end, panel, extentShift, 7);
        }
    }

    /// <param name="memory">Of the tile.</param>
    /// <param name="source">The operand.</param>
    /// <param name="line">The pass's row of the source, where columns are the depth.</param>
    /// <param name="along">The thread's column of the source.</param>
    /// <param name="slice">Which matrix of the batch.</param>
    /// <param name="depth">First depth of the stage.</param>
    /// <param name="end">Where the depth of this slice ends.</param>
    /// <param name="panel">Byte of the panel.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    /// <param name="pass">A constant.</param>
    private static void CopyOne<TTile, TShape>(TileMemory memory, TSource source, SourcePlace line, SourcePlace along, int slice, int depth,
        int end, int panel, int extentShift, int pass)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
    {
        int inPass = PassOf(extentShift), step = pass * LinesOfPass<TShape>(extentShift), vector = VectorOf(extentShift) << WidthShift;
        // The layouts repeat every 8 lines or 4 depths, so whole repetitions are a constant that the compiler can see.
        int target = panel + (TOrder.ColumnsAreDepth
            ? TileLayout.LineByLine(inPass + (step & 7), vector) + ((step & ~7) * TileLayout.LineBytes)
            : TileLayout.DepthByDepth(vector, inPass + (step & 3), extentShift) + ((step & ~3) << (extentShift + 2)));
        var row = TOrder.ColumnsAreDepth ? line : source.Row(slice, WithinDepth(depth + inPass + step, end));
        bool isInside = source.IsInside(row, along);
        int offset = source.Offset(row, along);
        if (TSource.IsFour)
            TTile.Copy(memory, target, ref source.ValuesOf(along).Cast<F4>()[offset >> 2], isInside);
        else
            TTile.Copy(memory, target, ref source.ValuesOf(along)[offset], isInside);
    }

    /// <summary>Beyond every extent once the slice's depth has ended.</summary>
    private static int WithinDepth(int depth, int end) => depth < end ? depth : int.MaxValue;

    /// <summary>log2 of the vectors side by side in memory: 16 values of depth, or the panel's extent.</summary>
    private static int VectorShift(int extentShift) => (TOrder.ColumnsAreDepth ? TileLayout.StageDepthShift : extentShift) - WidthShift;

    private static int VectorOf(int extentShift) => Group.IdxX & ((1 << VectorShift(extentShift)) - 1);

    /// <summary>This thread's line (or depth) within a pass.</summary>
    private static int PassOf(int extentShift) => Group.IdxX >> VectorShift(extentShift);

    /// <summary>Lines (or depths) that a pass copies.</summary>
    private static int LinesOfPass<TShape>(int extentShift)
        where TShape : struct, ITileShape
        => 1 << (TileShape<TShape>.ThreadShift - VectorShift(extentShift));

    private static int Passes<TShape>(int extentShift)
        where TShape : struct, ITileShape
        => 1 << (extentShift + TileLayout.StageDepthShift - WidthShift - TileShape<TShape>.ThreadShift);
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What a thread keeps of an operand all the time.</summary>
internal struct TilePlaces
{
    /// <summary>Its lines where columns are the depth, else its columns.</summary>
    public SourcePlace P0, P1, P2, P3;

    /// <summary>Its first depth of a stage.</summary>
    public int Depth;

    /// <summary>Byte of a stage that its first piece goes to.</summary>
    public int Target;
}

/// <summary>Copies a stage's panel of one operand, gathering it from its source.</summary>
/// <remarks>Neighbouring threads copy neighbouring pieces of 16 bytes as they lie in memory. Where columns are the depth, four threads copy
/// a line's 64 bytes, and a thread has the same piece of 2 or 4 lines, which stay the same from stage to stage: it looks up one column
/// a stage. Where rows are the depth, eight threads copy 128 bytes of a row, and a thread has 1 to 4 such pieces, which stay the same,
/// of 1 or 2 rows: it looks up those. So a copy costs two additions, two comparisons and its address.</remarks>
internal static class TileCopy<TElement, TSource, TOrder>
    where TElement : struct, ITileElement
    where TSource : struct, IOperandSource
    where TOrder : struct, IOperandOrder
{
    /// <summary>Lines that a pass copies where columns are the depth: four threads each.</summary>
    private const int LinesOfPass = TileLayout.Threads / 4;

    /// <summary>Rows that a pass copies where rows are the depth: eight threads each.</summary>
    private const int RowsOfPass = TileLayout.Threads / 8;

    /// <summary>A whole number of pieces, as every depth that is copied: an address must be a multiple of 16 bytes even where nothing is
    /// read.</summary>
    private const int PastEveryDepth = int.MaxValue & ~7;

    /// <summary>What stays the same from stage to stage.</summary>
    /// <param name="source">The operand.</param>
    /// <param name="slice">Which matrix of the batch.</param>
    /// <param name="first">First line (or column, of the right operand) of the tile.</param>
    /// <param name="panel">Byte of the panel in a stage.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    public static TilePlaces Anchor<TTile>(TSource source, int slice, int first, int panel, int extentShift)
        where TTile : struct, ITile
    {
        TilePlaces places = default;
        int pieceShift = TileLayout.PieceShift<TElement>(), index, step;
        if (TOrder.ColumnsAreDepth)
        {
            (index, step) = (first + (Group.IdxX >> 2), LinesOfPass);
            places.Depth = TTile.Hold((Group.IdxX & 3) << pieceShift);
        }
        else
        {
            (index, step) = (first + ((Group.IdxX & 7) << pieceShift), 8 << pieceShift);
            places.Depth = TTile.Hold(Group.IdxX >> 3);
        }
        places.Target = TTile.Hold(panel + TileLayout.CopyTarget<TElement, TOrder>(Group.IdxX));
        int count = Places(extentShift);
        places.P0 = Place(source, slice, index);
        if (count > 1)
            places.P1 = Place(source, slice, index + step);
        if (count > 2)
        {
            places.P2 = Place(source, slice, index + (2 * step));
            places.P3 = Place(source, slice, index + (3 * step));
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
    /// <param name="stage">Byte of the stage.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    public static void Copy<TTile>(TileMemory memory, TSource source, in TilePlaces places, int slice, int depth, int end, int stage,
        int extentShift)
        where TTile : struct, ITile
    {
        int along = depth + places.Depth, target = stage + places.Target;
        if (TOrder.ColumnsAreDepth)
        {
            CopyPlaces<TTile>(memory, source, places, source.Column(WithinDepth(along, end)), target,
                LinesOfPass * TileLayout.LineBytes, extentShift);
            return;
        }
        CopyPlaces<TTile>(memory, source, places, source.Row(slice, WithinDepth(along, end)), target, TileLayout.BlockBytes<TElement>(),
            extentShift);
        if (TileLayout.StageDepth<TElement>() > RowsOfPass)
        {
            CopyPlaces<TTile>(memory, source, places, source.Row(slice, WithinDepth(along + RowsOfPass, end)),
                target + (RowsOfPass * TileLayout.RowBytes), TileLayout.BlockBytes<TElement>(), extentShift);
        }
    }

    /// <summary>Copies one piece at every place. The layouts repeat, so the targets are constants apart.</summary>
    private static void CopyPlaces<TTile>(TileMemory memory, TSource source, in TilePlaces places, SourcePlace along, int target, int step,
        int extentShift)
        where TTile : struct, ITile
    {
        int count = Places(extentShift);
        CopyOne<TTile>(memory, source, places, places.P0, along, target, 0);
        if (count > 1)
            CopyOne<TTile>(memory, source, places, places.P1, along, target + step, 1);
        if (count > 2)
        {
            CopyOne<TTile>(memory, source, places, places.P2, along, target + (2 * step), 2);
            CopyOne<TTile>(memory, source, places, places.P3, along, target + (3 * step), 3);
        }
    }

    private static void CopyOne<TTile>(TileMemory memory, TSource source, in TilePlaces places, SourcePlace place, SourcePlace along,
        int target, int pass)
        where TTile : struct, ITile
    {
        var row = TOrder.ColumnsAreDepth ? place : along;
        var column = TOrder.ColumnsAreDepth ? along : place;
        bool isInside = source.IsInside(row, column);
        if (!TOrder.ColumnsAreDepth && TSource.AreColumnsNeighbours)
            TTile.Copy(memory, target, source.ValuesOf(column), source.Offset(row, places.P0), TileLayout.RowBytes * pass, isInside);
        else
            TTile.Copy(memory, target, source.ValuesOf(column), source.Offset(row, column), 0, isInside);
    }

    private static SourcePlace Place(TSource source, int slice, int index)
        => TOrder.ColumnsAreDepth ? source.Row(slice, index) : source.Column(index);

    /// <summary>Beyond every extent once the slice's depth has ended.</summary>
    private static int WithinDepth(int depth, int end) => depth < end ? depth : PastEveryDepth;

    /// <summary>1, 2 or 4 lines of the panel, or pieces of a row, that a thread copies.</summary>
    private static int Places(int extentShift)
        => TOrder.ColumnsAreDepth ? 1 << (extentShift - 5) : 1 << (extentShift + TElement.ByteShift - 7);
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What a thread keeps of an operand.</summary>
internal struct TilePlaces
{
    /// <summary>Its lines where columns are the depth, else its columns.</summary>
    public SourcePlace P0, P1, P2, P3;

    /// <summary>Where those columns begin.</summary>
    public int B0, B1, B2, B3;

    /// <summary>Its column or row of the next stage.</summary>
    public SourcePlace Along;

    /// <summary>Its first depth in a stage.</summary>
    public int Depth;

    /// <summary>Byte of a stage that its first piece goes to.</summary>
    public int Target;
}

/// <summary>Copies a stage's panel of one operand, gathering it from its source.</summary>
/// <remarks>Neighbouring threads copy neighbouring pieces of 16 bytes as they lie in memory. Where columns are the depth, four threads copy
/// a line's 64 bytes, and a thread has the same piece of 2 or 4 lines, which stay the same from stage to stage: it goes on by one column
/// a stage. Where rows are the depth, eight threads copy 128 bytes of a row, and a thread has 1 to 4 such pieces, which stay the same,
/// of 1 or 2 rows: it goes on by those. So a copy costs two additions, two comparisons and its address.</remarks>
internal static class TileCopy<TElement, TSource, TOrder>
    where TElement : struct, ITileElement
    where TSource : struct, IOperandSource
    where TOrder : struct, IOperandOrder
{
    /// <summary>What stays the same from stage to stage, and where the first stage begins.</summary>
    /// <param name="source">The operand.</param>
    /// <param name="slice">Which matrix of the batch.</param>
    /// <param name="first">First line (or column, of the right operand) of the tile.</param>
    /// <param name="begin">First depth.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    public static TilePlaces Anchor<TTile>(TSource source, int slice, int first, int begin, int extentShift)
        where TTile : struct, ITile
    {
        TilePlaces places = default;
        int pieceShift = TileLayout.PieceShift<TElement>(), index, step;
        if (TOrder.ColumnsAreDepth)
        {
            (index, step) = (first + (Group.IdxX >> 2), TileLayout.LinesOfPass);
            places.Depth = TTile.Hold((Group.IdxX & 3) << pieceShift);
            places.Along = source.Column(begin + places.Depth);
        }
        else
        {
            (index, step) = (first + ((Group.IdxX & 7) << pieceShift), 8 << pieceShift);
            places.Depth = TTile.Hold(Group.IdxX >> 3);
            places.Along = source.Row(slice, begin + places.Depth);
        }
        places.Target = TTile.Hold(TileLayout.CopyTarget<TElement, TOrder>(Group.IdxX));
        int count = Places(extentShift);
        places.P0 = Place(source, slice, index);
        places.B0 = Base<TTile>(source, places.P0);
        if (count > 1)
        {
            places.P1 = Place(source, slice, index + step);
            places.B1 = Base<TTile>(source, places.P1);
        }
        if (count > 2)
        {
            places.P2 = Place(source, slice, index + (2 * step));
            places.B2 = Base<TTile>(source, places.P2);
            places.P3 = Place(source, slice, index + (3 * step));
            places.B3 = Base<TTile>(source, places.P3);
        }
        return places;
    }

    /// <summary>Starts the copies of one stage and goes on to the next; zeros where the depth has ended.</summary>
    /// <param name="memory">Of the tile.</param>
    /// <param name="source">The operand.</param>
    /// <param name="places">From <see cref="Anchor"/>.</param>
    /// <param name="rest">Depth from the stage's first to the end of this slice.</param>
    /// <param name="stage">Byte of the stage.</param>
    /// <param name="extentShift">log2 of the tile's extent along the lines.</param>
    public static void Copy<TTile>(TileMemory memory, TSource source, ref TilePlaces places, int rest, int stage, int extentShift)
        where TTile : struct, ITile
    {
        int target = stage + places.Target;
        if (TOrder.ColumnsAreDepth)
        {
            places.B0 = places.B1 = places.B2 = places.B3 = source.Base(places.Along);
            CopyPlaces<TTile>(memory, source, places, rest, target, TileLayout.LinesOfPass * TileLayout.LineBytes, extentShift);
            places.Along = source.NextColumn(places.Along, TileLayout.StageDepth<TElement>());
            return;
        }
        CopyPlaces<TTile>(memory, source, places, rest, target, TileLayout.BlockBytes<TElement>(), extentShift);
        places.Along = source.NextRow(places.Along, TileLayout.RowsOfPass);
        if (TileLayout.StageDepth<TElement>() > TileLayout.RowsOfPass)
        {
            CopyPlaces<TTile>(memory, source, places, rest - TileLayout.RowsOfPass,
                target + (TileLayout.RowsOfPass * TileLayout.RowBytes), TileLayout.BlockBytes<TElement>(), extentShift);
            places.Along = source.NextRow(places.Along, TileLayout.RowsOfPass);
        }
    }

    /// <summary>Copies one piece at every place. The layouts repeat, so the targets are constants apart.</summary>
    private static void CopyPlaces<TTile>(TileMemory memory, TSource source, in TilePlaces places, int rest, int target, int step,
        int extentShift)
        where TTile : struct, ITile
    {
        int count = Places(extentShift);
        bool isWithin = places.Depth < rest;
        CopyOne<TTile>(memory, source, places, places.P0, places.B0, isWithin, target, 0);
        if (count > 1)
            CopyOne<TTile>(memory, source, places, places.P1, places.B1, isWithin, target + step, 1);
        if (count > 2)
        {
            CopyOne<TTile>(memory, source, places, places.P2, places.B2, isWithin, target + (2 * step), 2);
            CopyOne<TTile>(memory, source, places, places.P3, places.B3, isWithin, target + (3 * step), 3);
        }
    }

    private static void CopyOne<TTile>(TileMemory memory, TSource source, in TilePlaces places, SourcePlace place, int first,
        bool isWithin, int target, int pass)
        where TTile : struct, ITile
    {
        var row = TOrder.ColumnsAreDepth ? place : places.Along;
        var column = TOrder.ColumnsAreDepth ? places.Along : place;
        bool areNeighbours = !TOrder.ColumnsAreDepth && TSource.AreColumnsNeighbours;
        int offset = (areNeighbours ? places.B0 : first) + (source.Offset(row, column) * source.Pitch(column));
        TTile.Copy(memory, target, source.ValuesOf(column), offset, areNeighbours ? TileLayout.RowBytes * pass : 0,
            source.IsInside(row, column, isWithin));
    }

    private static SourcePlace Place(TSource source, int slice, int index)
        => TOrder.ColumnsAreDepth ? source.Row(slice, index) : source.Column(index);

    /// <summary>Of a column that stays the same.</summary>
    private static int Base<TTile>(TSource source, SourcePlace place)
        where TTile : struct, ITile
        => TOrder.ColumnsAreDepth ? 0 : TTile.Hold(source.Base(place));

    /// <summary>1, 2 or 4 lines of the panel, or pieces of a row, that a thread copies.</summary>
    private static int Places(int extentShift)
        => TOrder.ColumnsAreDepth ? 1 << (extentShift - 5) : 1 << (extentShift + TElement.ByteShift - 7);
}

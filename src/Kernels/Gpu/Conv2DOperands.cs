using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Whether four neighbouring columns of a source or result are one 16-byte access.</summary>
internal interface IAccessWidth
{
    /// <summary>True promises that extents and strides are multiples of four and the memory is 16-byte aligned.</summary>
    static abstract bool IsFour { get; }
}

internal struct FourWide : IAccessWidth
{
    static bool IAccessWidth.IsFour => true;
}

internal struct OneWide : IAccessWidth
{
    static bool IAccessWidth.IsFour => false;
}

/// <summary>What a source knows of one of its rows, or of one of its columns, before it is told the other.</summary>
internal struct SourcePlace
{
    /// <summary>This index's part of the offset into the values, or what the source makes it from.</summary>
    public int Offset;

    /// <summary>This index's part of an image row; of other sources, a row itself and, for a column,
    /// the rows that are inside there.</summary>
    public int Y;

    /// <summary>This index's part of an image column.</summary>
    public int X;

    /// <summary>An image row that stays outside every image when another index's part is added.</summary>
    public const int Outside = 1 << 29;
}

/// <summary>A matrix whose values are gathered from somewhere when a tile needs them. Outside its extents it is zero.</summary>
/// <remarks>Rows and columns are found apart, because a thread meets one row with many columns or the other way round. Of a
/// <see cref="FourWide"/> source only columns that are multiples of four are asked for.</remarks>
internal interface IOperandSource
{
    static abstract bool IsFour { get; }

    /// <summary>Whether offsets in a row differ as the columns do, which saves tiles their arithmetic.</summary>
    static abstract bool AreColumnsNeighbours { get; }

    /// <summary>The memory that a column lies in.</summary>
    ArrayView<float> ValuesOf(SourcePlace column);

    /// <summary>Where in <see cref="ValuesOf"/> a column lies at offset 0 of a row; may be negative.</summary>
    int Base(SourcePlace column);

    /// <summary>Values from there to what a row has in the column at offset 1.</summary>
    int Pitch(SourcePlace column);

    /// <summary>Row <paramref name="row"/> ≥ 0 of matrix <paramref name="slice"/>.</summary>
    SourcePlace Row(int slice, int row);

    /// <summary>Column <paramref name="column"/> ≥ 0.</summary>
    SourcePlace Column(int column);

    /// <summary>The row that is <paramref name="step"/> further on, if the matrix has it.</summary>
    /// <param name="row">From <see cref="Row"/> or this.</param>
    /// <param name="step">A constant of the tiles; a source that goes on by carries was made for it.</param>
    SourcePlace NextRow(SourcePlace row, int step);

    /// <summary>The column that is <paramref name="step"/> further on, if the matrix has it; parameters as above.</summary>
    SourcePlace NextColumn(SourcePlace column, int step);

    /// <summary>Whether the value is neither padding nor outside the extents.</summary>
    /// <param name="row">Of the matrix.</param>
    /// <param name="column">Of the matrix.</param>
    /// <param name="isWithin">What else must be; comparisons that are joined in this order are one instruction each.</param>
    bool IsInside(SourcePlace row, SourcePlace column, bool isWithin);

    /// <summary>The row's offset, in strides of the column; means nothing where the value is not inside.</summary>
    int Offset(SourcePlace row, SourcePlace column);
}

/// <summary>Reads from a source.</summary>
internal static class OperandSource<TSource>
    where TSource : struct, IOperandSource
{
    /// <summary>Four values at columns column..column+3, where column is a multiple of 4.</summary>
    public static F4 Read(TSource source, int slice, int row, int column)
    {
        var place = source.Row(slice, row);
        if (TSource.IsFour)
        {
            var along = source.Column(column);
            return source.IsInside(place, along, true) ? source.ValuesOf(along).Cast<F4>()[Offset(source, place, along) >> 2] : default;
        }
        return new F4
        {
            X = ReadOne(source, place, column),
            Y = ReadOne(source, place, column + 1),
            Z = ReadOne(source, place, column + 2),
            W = ReadOne(source, place, column + 3),
        };
    }

    private static float ReadOne(TSource source, SourcePlace place, int column)
    {
        var along = source.Column(column);
        return source.IsInside(place, along, true) ? source.ValuesOf(along)[Offset(source, place, along)] : 0;
    }

    private static int Offset(TSource source, SourcePlace row, SourcePlace column)
        => source.Base(column) + (source.Offset(row, column) * source.Pitch(column));
}

/// <summary>A row-major matrix, or a batch of them.</summary>
internal struct MatrixSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Matrix;
    public int Rows;
    public int Columns;

    /// <summary>Values from one matrix of the batch to the next.</summary>
    public int SliceStride;

    public static bool IsFour => TWidth.IsFour;

    public static bool AreColumnsNeighbours => true;

    public readonly ArrayView<float> ValuesOf(SourcePlace column) => Matrix;

    public readonly SourcePlace Row(int slice, int row)
        => new() { Offset = (slice * SliceStride) + (row * Columns), Y = row };

    public readonly SourcePlace Column(int column) => new() { Offset = column, Y = column < Columns ? Rows : 0 };

    public readonly SourcePlace NextRow(SourcePlace row, int step)
    {
        row.Offset += step * Columns;
        return row;
    }

    public readonly SourcePlace NextColumn(SourcePlace column, int step)
    {
        column.Offset += step;
        return column;
    }

    public readonly int Base(SourcePlace column) => column.Offset;

    public readonly int Pitch(SourcePlace column) => 1;

    public readonly bool IsInside(SourcePlace row, SourcePlace column, bool isWithin) => isWithin & row.Y < column.Y;

    public readonly int Offset(SourcePlace row, SourcePlace column) => row.Offset;
}

/// <summary>
/// The filter [K,R,S,C] as the gradient of the input needs it: row = (tap row, tap column, k), column = c. With a stride only every
/// Stride-th tap from (FirstR, FirstS) on reaches a given class of pixels.
/// </summary>
internal struct TurnedFilterSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Filter;
    public Divisor K;

    /// <summary>Taps of this class in a row.</summary>
    public Divisor TapsW;

    public int Rows;
    public int R;
    public int S;
    public int C;
    public int FirstR;
    public int FirstS;
    public int Stride;

    public static bool IsFour => TWidth.IsFour;

    public static bool AreColumnsNeighbours => true;

    public readonly ArrayView<float> ValuesOf(SourcePlace column) => Filter;

    public readonly SourcePlace Row(int slice, int row)
    {
        int tap = K.Divide(row);
        int tapRow = TapsW.Divide(tap);
        int r = FirstR + (Stride * tapRow);
        int s = FirstS + (Stride * TapsW.Remainder(tap, tapRow));
        return new SourcePlace { Offset = ((((K.Remainder(row, tap) * R) + r) * S) + s) * C, Y = row };
    }

    public readonly SourcePlace Column(int column) => new() { Offset = column, Y = column < C ? Rows : 0 };

    public readonly SourcePlace NextRow(SourcePlace row, int step) => Row(0, row.Y + step);

    public readonly SourcePlace NextColumn(SourcePlace column, int step) => Column(column.Offset + step);

    public readonly int Base(SourcePlace column) => column.Offset;

    public readonly int Pitch(SourcePlace column) => 1;

    public readonly bool IsInside(SourcePlace row, SourcePlace column, bool isWithin) => isWithin & row.Y < column.Y;

    public readonly int Offset(SourcePlace row, SourcePlace column) => row.Offset;
}

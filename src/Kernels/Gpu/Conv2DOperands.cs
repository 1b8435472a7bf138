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

/// <summary>A row-major matrix, or a batch of them.</summary>
internal struct MatrixSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Values;
    public int Rows;
    public int Columns;

    /// <summary>Values from one matrix of the batch to the next.</summary>
    public int SliceStride;

    public readonly F4 Read(int slice, int row, int column)
    {
        F4 four = default;
        if (row >= Rows)
            return four;
        int offset = (slice * SliceStride) + (row * Columns) + column;
        if (TWidth.IsFour)
            return column < Columns ? Values.Cast<F4>()[offset >> 2] : four;
        if (column < Columns)
            four.X = Values[offset];
        if (column + 1 < Columns)
            four.Y = Values[offset + 1];
        if (column + 2 < Columns)
            four.Z = Values[offset + 2];
        if (column + 3 < Columns)
            four.W = Values[offset + 3];
        return four;
    }
}

/// <summary>
/// The patches that a window sees: row = position of the window (n, y, x), column = (tap row, tap column, channel).
/// </summary>
/// <remarks>The window at (y, x) with tap (r, s) reads pixel (y·Stride + OriginH + Step·r, x·Stride + OriginW + Step·s): Step 1 walks the
/// input of a convolution; Step −1 walks the gradient of its output, for the gradient of the input.</remarks>
internal struct PatchSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Image;
    public int ImageH;
    public int ImageW;
    public Divisor Channels;

    /// <summary>Taps in a row of the window.</summary>
    public Divisor TapsW;

    /// <summary>Taps times channels.</summary>
    public int Columns;

    /// <summary>Positions of the window.</summary>
    public int Rows;

    public Divisor PositionsH;
    public Divisor PositionsW;
    public int Stride;
    public int OriginH;
    public int OriginW;
    public int Step;

    public readonly F4 Read(int slice, int row, int column)
    {
        F4 four = default;
        if (row >= Rows)
            return four;
        int line = PositionsW.Divide(row);
        int n = PositionsH.Divide(line);
        int top = (PositionsH.Remainder(line, n) * Stride) + OriginH;
        int left = (PositionsW.Remainder(row, line) * Stride) + OriginW;
        if (TWidth.IsFour)
        {
            int offset = Offset(n, top, left, column);
            return offset >= 0 ? Image.Cast<F4>()[offset >> 2] : four;
        }
        four.X = ReadOne(n, top, left, column);
        four.Y = ReadOne(n, top, left, column + 1);
        four.Z = ReadOne(n, top, left, column + 2);
        four.W = ReadOne(n, top, left, column + 3);
        return four;
    }

    private readonly float ReadOne(int n, int top, int left, int column)
    {
        int offset = Offset(n, top, left, column);
        return offset >= 0 ? Image[offset] : 0;
    }

    /// <summary>Where the value lies, or −1 outside the image and past the last column.</summary>
    private readonly int Offset(int n, int top, int left, int column)
    {
        int tap = Channels.Divide(column);
        int tapRow = TapsW.Divide(tap);
        int y = top + (Step * tapRow);
        int x = left + (Step * TapsW.Remainder(tap, tapRow));
        bool inside = column < Columns && (uint)y < (uint)ImageH && (uint)x < (uint)ImageW;
        return inside ? (((((n * ImageH) + y) * ImageW) + x) * Channels.Value) + Channels.Remainder(column, tap) : -1;
    }
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

    public readonly F4 Read(int slice, int row, int column)
    {
        F4 four = default;
        if (row >= Rows)
            return four;
        int tap = K.Divide(row);
        int tapRow = TapsW.Divide(tap);
        int r = FirstR + (Stride * tapRow);
        int s = FirstS + (Stride * TapsW.Remainder(tap, tapRow));
        int offset = (((((K.Remainder(row, tap) * R) + r) * S) + s) * C) + column;
        if (TWidth.IsFour)
            return column < C ? Filter.Cast<F4>()[offset >> 2] : four;
        if (column < C)
            four.X = Filter[offset];
        if (column + 1 < C)
            four.Y = Filter[offset + 1];
        if (column + 2 < C)
            four.Z = Filter[offset + 2];
        if (column + 3 < C)
            four.W = Filter[offset + 3];
        return four;
    }
}

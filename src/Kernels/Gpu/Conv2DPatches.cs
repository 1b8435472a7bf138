using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The window that a convolution moves over images [N,H,W,C]: row = position of the window (n, y, x), column = (tap row, tap column,
/// channel).
/// </summary>
/// <remarks>The pixel is (y · Stride + OriginH + Step · tap row, x · Stride + OriginW + Step · tap column): Step is 1 over the input of a
/// convolution and −1 over the gradient of its output.</remarks>
internal struct PatchWindow
{
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

    /// <summary>Which image a row belongs to.</summary>
    public readonly int Image(int row) => PositionsH.Divide(PositionsW.Divide(row));

    /// <summary>The pixel under the first tap; the offset counts pixels.</summary>
    public readonly SourcePlace Row(int row)
    {
        int line = PositionsW.Divide(row);
        int n = PositionsH.Divide(line);
        int top = (PositionsH.Remainder(line, n) * Stride) + OriginH;
        int left = (PositionsW.Remainder(row, line) * Stride) + OriginW;
        return new SourcePlace
        {
            Offset = (((n * ImageH) + top) * ImageW) + left,
            Y = row < Rows ? top : -2 * SourcePlace.Outside,
            X = left,
        };
    }

    /// <summary>The way from the first tap to that of the column; the offset is the channel.</summary>
    public readonly SourcePlace Column(int column)
    {
        int tap = Channels.Divide(column);
        int tapRow = TapsW.Divide(tap);
        return new SourcePlace
        {
            Offset = Channels.Remainder(column, tap),
            Y = column < Columns ? Step * tapRow : SourcePlace.Outside,
            X = Step * TapsW.Remainder(tap, tapRow),
        };
    }

    public readonly bool IsInside(SourcePlace row, SourcePlace column)
        => (uint)(row.Y + column.Y) < (uint)ImageH & (uint)(row.X + column.X) < (uint)ImageW;
}

/// <summary>What a window sees of images.</summary>
internal struct PatchSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    public PatchWindow Window;
    public ArrayView<float> Image;

    public static bool IsFour => TWidth.IsFour;

    public static bool AreColumnsNeighbours => false;

    public readonly ArrayView<float> ValuesOf(SourcePlace column) => Image;

    public readonly SourcePlace Row(int slice, int row)
    {
        var place = Window.Row(row);
        place.Offset *= Window.Channels.Value;
        return place;
    }

    public readonly SourcePlace Column(int column)
    {
        var place = Window.Column(column);
        place.Offset += ((place.Y * Window.ImageW) + place.X) * Window.Channels.Value;
        return place;
    }

    public readonly bool IsInside(SourcePlace row, SourcePlace column) => Window.IsInside(row, column);

    public readonly int Offset(SourcePlace row, SourcePlace column) => row.Offset + column.Offset;
}

/// <summary>What a window sees of two images as if their channels were joined, without a joined copy.</summary>
internal struct JoinedPatchSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    /// <summary>Its channels are those of both.</summary>
    public PatchWindow Window;

    /// <summary>[N,H,W,FirstChannels].</summary>
    public ArrayView<float> First;

    /// <summary>[N,H,W,C − FirstChannels].</summary>
    public ArrayView<float> Second;

    public int FirstChannels;

    public static bool IsFour => TWidth.IsFour;

    public static bool AreColumnsNeighbours => false;

    public readonly ArrayView<float> ValuesOf(SourcePlace column) => column.Offset >= 0 ? First : Second;

    public readonly SourcePlace Row(int slice, int row) => Window.Row(row);

    /// <summary>The offset is a channel of the first image, or the complement of one of the second.</summary>
    public readonly SourcePlace Column(int column)
    {
        var place = Window.Column(column);
        if (place.Offset >= FirstChannels)
            place.Offset = ~(place.Offset - FirstChannels);
        return place;
    }

    public readonly bool IsInside(SourcePlace row, SourcePlace column) => Window.IsInside(row, column);

    public readonly int Offset(SourcePlace row, SourcePlace column)
    {
        int pixel = row.Offset + (column.Y * Window.ImageW) + column.X;
        return column.Offset >= 0
            ? (pixel * FirstChannels) + column.Offset
            : (pixel * (Window.Channels.Value - FirstChannels)) + ~column.Offset;
    }
}

/// <summary>What a window sees of images of which every pixel counts as 2×2, without the larger copy.</summary>
internal struct UpsampledPatchSource<TWidth> : IOperandSource
    where TWidth : struct, IAccessWidth
{
    /// <summary>Its images are the larger ones, of even height and width.</summary>
    public PatchWindow Window;

    /// <summary>[N,H/2,W/2,C].</summary>
    public ArrayView<float> Image;

    public static bool IsFour => TWidth.IsFour;

    public static bool AreColumnsNeighbours => false;

    public readonly ArrayView<float> ValuesOf(SourcePlace column) => Image;

    /// <summary>The offset is the first row of the small image.</summary>
    public readonly SourcePlace Row(int slice, int row)
    {
        var place = Window.Row(row);
        place.Offset = Window.Image(row) * (Window.ImageH >> 1);
        return place;
    }

    public readonly SourcePlace Column(int column) => Window.Column(column);

    public readonly bool IsInside(SourcePlace row, SourcePlace column) => Window.IsInside(row, column);

    public readonly int Offset(SourcePlace row, SourcePlace column)
    {
        int pixelRow = row.Offset + ((row.Y + column.Y) >> 1);
        return (((pixelRow * (Window.ImageW >> 1)) + ((row.X + column.X) >> 1)) * Window.Channels.Value) + column.Offset;
    }
}

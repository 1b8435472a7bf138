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

    /// <summary>From a row to the next one of a tile's thread.</summary>
    public RowStep RowStep;

    /// <summary>From a column to the next one of a tile's thread.</summary>
    public ColumnStep ColumnStep;

    /// <summary>Which image a row belongs to.</summary>
    public readonly int Image(int row) => PositionsH.Divide(PositionsW.Divide(row));

    /// <summary>The way from the first position to that of the row; the offset counts pixels.</summary>
    public readonly SourcePlace Row(int row)
    {
        int line = PositionsW.Divide(row);
        int n = PositionsH.Divide(line);
        int y = PositionsH.Remainder(line, n) * Stride;
        int x = PositionsW.Remainder(row, line) * Stride;
        return new SourcePlace
        {
            Offset = (((n * ImageH) + y) * ImageW) + x,
            Y = row < Rows ? y : -2 * SourcePlace.Outside,
            X = x,
        };
    }

    /// <summary>The pixel under the column's tap at the first position; the offset is the channel.</summary>
    public readonly SourcePlace Column(int column)
    {
        int tap = Channels.Divide(column);
        int tapRow = TapsW.Divide(tap);
        return new SourcePlace
        {
            Offset = Channels.Remainder(column, tap),
            Y = column < Columns ? OriginH + (Step * tapRow) : SourcePlace.Outside,
            X = OriginW + (Step * TapsW.Remainder(tap, tapRow)),
        };
    }

    /// <summary>A stage on: carries take the place of divisions.</summary>
    public readonly SourcePlace NextRow(SourcePlace row)
    {
        row.X += RowStep.X;
        row.Y += RowStep.Y;
        row.Offset += RowStep.Offset;
        if (row.X >= RowStep.Width)
        {
            row.X -= RowStep.Width;
            row.Y += Stride;
            row.Offset += RowStep.CarryX;
        }
        if (row.Y >= RowStep.Height)
        {
            row.Y -= RowStep.Height;
            row.Offset += RowStep.CarryY;
        }
        return row;
    }

    /// <summary>A stage on: carries take the place of divisions.</summary>
    public readonly SourcePlace NextColumn(SourcePlace column)
    {
        column.Offset += ColumnStep.Channel;
        column.X += ColumnStep.X;
        column.Y += ColumnStep.Y;
        if (column.Offset >= Channels.Value)
        {
            column.Offset -= Channels.Value;
            column.X += Step;
        }
        if (column.X * Step >= ColumnStep.End)
        {
            column.X -= ColumnStep.Width;
            column.Y += Step;
        }
        return column;
    }

    /// <summary>The same window, for tiles whose stages have a depth.</summary>
    /// <param name="depth">Columns of a stage.</param>
    public readonly PatchWindow Stepping(int depth) => this with
    {
        RowStep = RowStep.Of(this, TileLayout.RowsOfPass),
        ColumnStep = ColumnStep.Of(this, depth),
    };

    /// <summary>Pixels from an image's first one to that of a column's place.</summary>
    public readonly int Pixels(SourcePlace column) => (column.Y * ImageW) + column.X;

    public readonly bool IsInside(SourcePlace row, SourcePlace column, bool isWithin)
        => isWithin & (uint)(row.Y + column.Y) < (uint)ImageH & (uint)(row.X + column.X) < (uint)ImageW;
}

/// <summary>A number of rows of a window, as images, lines and positions; carries bring a place back into its line and its image.</summary>
internal struct RowStep
{
    /// <summary>Columns of the image to go on.</summary>
    public int X;

    /// <summary>Rows of the image to go on.</summary>
    public int Y;

    /// <summary>Pixels to go on.</summary>
    public int Offset;

    /// <summary>Columns of the image that a line of positions takes.</summary>
    public int Width;

    /// <summary>Rows that the positions in an image take.</summary>
    public int Height;

    /// <summary>Pixels from past a line's last position to the next line's first.</summary>
    public int CarryX;

    /// <summary>Pixels from past an image's last line to the next image's first.</summary>
    public int CarryY;

    public static RowStep Of(in PatchWindow w, int rows)
    {
        int line = rows / w.PositionsW.Value, image = line / w.PositionsH.Value;
        int width = w.PositionsW.Value * w.Stride, height = w.PositionsH.Value * w.Stride;
        int x = rows % w.PositionsW.Value * w.Stride, y = line % w.PositionsH.Value * w.Stride;
        return new RowStep
        {
            X = x,
            Y = y,
            Offset = (((image * w.ImageH) + y) * w.ImageW) + x,
            Width = width,
            Height = height,
            CarryX = (w.Stride * w.ImageW) - width,
            CarryY = (w.ImageH - height) * w.ImageW,
        };
    }
}

/// <summary>A number of columns of a window, as tap rows, tap columns and channels.</summary>
internal struct ColumnStep
{
    public int Channel;
    public int X;
    public int Y;

    /// <summary>From a row's first tap to past its last, in columns of the image.</summary>
    public int Width;

    /// <summary>Where that is, times <see cref="PatchWindow.Step"/>.</summary>
    public int End;

    public static ColumnStep Of(in PatchWindow w, int columns)
    {
        int tap = columns / w.Channels.Value;
        return new ColumnStep
        {
            Channel = columns % w.Channels.Value,
            X = tap % w.TapsW.Value * w.Step,
            Y = tap / w.TapsW.Value * w.Step,
            Width = w.TapsW.Value * w.Step,
            End = (w.OriginW * w.Step) + w.TapsW.Value,
        };
    }
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

    public readonly int Base(SourcePlace column) => (Window.Pixels(column) * Window.Channels.Value) + column.Offset;

    public readonly int Pitch(SourcePlace column) => Window.Channels.Value;

    public readonly SourcePlace Row(int slice, int row) => Window.Row(row);

    public readonly SourcePlace Column(int column) => Window.Column(column);

    public readonly SourcePlace NextRow(SourcePlace row, int step) => Window.NextRow(row);

    public readonly SourcePlace NextColumn(SourcePlace column, int step) => Window.NextColumn(column);

    public readonly bool IsInside(SourcePlace row, SourcePlace column, bool isWithin) => Window.IsInside(row, column, isWithin);

    public readonly int Offset(SourcePlace row, SourcePlace column) => row.Offset;
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

    public readonly ArrayView<float> ValuesOf(SourcePlace column) => IsFirst(column) ? First : Second;

    public readonly int Base(SourcePlace column)
        => (Window.Pixels(column) * Pitch(column)) + (IsFirst(column) ? column.Offset : column.Offset - FirstChannels);

    public readonly int Pitch(SourcePlace column) => IsFirst(column) ? FirstChannels : Window.Channels.Value - FirstChannels;

    public readonly SourcePlace Row(int slice, int row) => Window.Row(row);

    public readonly SourcePlace Column(int column) => Window.Column(column);

    public readonly SourcePlace NextRow(SourcePlace row, int step) => Window.NextRow(row);

    public readonly SourcePlace NextColumn(SourcePlace column, int step) => Window.NextColumn(column);

    public readonly bool IsInside(SourcePlace row, SourcePlace column, bool isWithin) => Window.IsInside(row, column, isWithin);

    public readonly int Offset(SourcePlace row, SourcePlace column) => row.Offset;

    private readonly bool IsFirst(SourcePlace column) => column.Offset < FirstChannels;
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

    public readonly int Base(SourcePlace column) => column.Offset;

    public readonly int Pitch(SourcePlace column) => Window.Channels.Value;

    public static UpsampledPatchSource<TWidth> Of(PatchWindow window, ArrayView<float> image)
    {
        int images = TileLayout.RowsOfPass / (window.PositionsH.Value * window.PositionsW.Value), height = window.ImageH / 2;
        window.RowStep = window.RowStep with { Offset = images * height, CarryX = 0, CarryY = height };
        return new UpsampledPatchSource<TWidth> { Window = window, Image = image };
    }

    /// <summary>The offset is the first row of the small image.</summary>
    public readonly SourcePlace Row(int slice, int row)
    {
        var place = Window.Row(row);
        place.Offset = Window.Image(row) * (Window.ImageH >> 1);
        return place;
    }

    public readonly SourcePlace Column(int column) => Window.Column(column);

    public readonly SourcePlace NextRow(SourcePlace row, int step) => Window.NextRow(row);

    public readonly SourcePlace NextColumn(SourcePlace column, int step) => Window.NextColumn(column);

    public readonly bool IsInside(SourcePlace row, SourcePlace column, bool isWithin) => Window.IsInside(row, column, isWithin);

    public readonly int Offset(SourcePlace row, SourcePlace column)
        => ((row.Offset + ((row.Y + column.Y) >> 1)) * (Window.ImageW >> 1)) + ((row.X + column.X) >> 1);
}

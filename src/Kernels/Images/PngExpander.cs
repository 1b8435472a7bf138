using System.Buffers.Binary;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Undoes the filters of PNG rows and spreads their samples to 8-bit pixels.</summary>
internal sealed class PngExpander
{
    private readonly string name;
    private readonly PngHeader header;
    private readonly byte[] palette;
    private readonly byte[] transparency;

    /// <summary>Checks that palette and tRNS chunk fit the header.</summary>
    public PngExpander(string name, PngHeader header, byte[] palette, byte[] transparency)
    {
        this.name = name;
        this.header = header;
        this.palette = palette;
        if (header.Kind == PngKind.Palette && palette.Length == 0)
        {
            throw ImageFormatException.Damaged(name, "the PNG palette is missing");
        }

        // Types with an alpha channel must not have the chunk; where it stands all the same, it says nothing.
        this.transparency = header.Kind is PngKind.GrayAlpha or PngKind.Rgba ? [] : transparency;
        if (this.transparency.Length > 0 && header.Kind != PngKind.Palette && this.transparency.Length != 2 * header.Samples)
        {
            throw ImageFormatException.Damaged(name, $"the PNG tRNS chunk has {transparency.Length} bytes");
        }

        Channels = (header.Kind == PngKind.Palette ? 3 : header.Samples) + (this.transparency.Length > 0 ? 1 : 0);
    }

    /// <summary>Samples per pixel of the result.</summary>
    public int Channels { get; }

    /// <summary>Reads every row.</summary>
    /// <param name="stream">The uncompressed data.</param>
    /// <returns>[height, width, channels].</returns>
    public byte[] Read(Stream stream)
    {
        var pixels = new byte[checked(header.Width * header.Height * Channels)];
        int distance = Math.Max(1, header.BitsPerPixel / 8);
        bool isPlain = header.Depth == 8 && Channels == header.Samples && header.Kind != PngKind.Palette;
        foreach (var pass in header.Passes)
        {
            int length = header.RowLength(pass);
            // The filter byte stands before the row; the row before the first one is zero.
            byte[] row = new byte[length + 1], above = new byte[length + 1];
            for (int y = 0; y < pass.Height; y++)
            {
                stream.ReadExactly(row);
                Unfilter(row[0], row.AsSpan(1), above.AsSpan(1), distance);
                var target = pixels.AsSpan((pass.Y + (y * pass.StepY)) * header.Width * Channels);
                if (isPlain && pass.StepX == 1)
                {
                    row.AsSpan(1).CopyTo(target);
                }
                else
                {
                    Expand(row.AsSpan(1), pass, target);
                }

                (row, above) = (above, row);
            }
        }

        return pixels;
    }

    private void Unfilter(byte filter, Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        above = above[..row.Length];
        switch (filter)
        {
            case 0:
                break;
            case 1:
                for (int i = distance; i < row.Length; i++)
                {
                    row[i] += row[i - distance];
                }

                break;
            case 2:
                for (int i = 0; i < row.Length; i++)
                {
                    row[i] += above[i];
                }

                break;
            case 3:
                for (int i = 0; i < row.Length; i++)
                {
                    row[i] += (byte)(((i < distance ? 0 : row[i - distance]) + above[i]) >> 1);
                }

                break;
            case 4:
                for (int i = 0; i < row.Length; i++)
                {
                    row[i] += i < distance ? above[i] : PaethPredictor(row[i - distance], above[i], above[i - distance]);
                }

                break;
            default:
                throw ImageFormatException.Damaged(name, $"PNG filter {filter} does not exist");
        }
    }

    /// <summary>Whichever of left, above and upper left is nearest to left + above - upper left.</summary>
    internal static byte PaethPredictor(int left, int above, int corner)
    {
        int fromLeft = Math.Abs(above - corner), fromAbove = Math.Abs(left - corner), fromCorner = Math.Abs(left + above - (2 * corner));
        return (byte)(fromLeft <= fromAbove && fromLeft <= fromCorner ? left : fromAbove <= fromCorner ? above : corner);
    }

    private void Expand(ReadOnlySpan<byte> row, PngPass pass, Span<byte> target)
    {
        for (int x = 0; x < pass.Width; x++)
        {
            var pixel = target.Slice((pass.X + (x * pass.StepX)) * Channels, Channels);
            if (header.Kind == PngKind.Palette)
            {
                LookUp(Sample(row, x), pixel);
                continue;
            }

            bool isKey = transparency.Length > 0;
            for (int channel = 0; channel < header.Samples; channel++)
            {
                int sample = Sample(row, (x * header.Samples) + channel);
                isKey = isKey && sample == BinaryPrimitives.ReadUInt16BigEndian(transparency.AsSpan(2 * channel));
                pixel[channel] = (byte)(header.Depth == 16 ? sample >> 8 : sample * 255 / ((1 << header.Depth) - 1));
            }

            if (transparency.Length > 0)
            {
                pixel[^1] = isKey ? (byte)0 : byte.MaxValue;
            }
        }
    }

    private int Sample(ReadOnlySpan<byte> row, int index) => header.Depth switch
    {
        16 => BinaryPrimitives.ReadUInt16BigEndian(row[(2 * index)..]),
        8 => row[index],
        int depth => (row[index * depth / 8] >> (8 - depth - (index * depth % 8))) & ((1 << depth) - 1),
    };

    private void LookUp(int index, Span<byte> pixel)
    {
        if (3 * index >= palette.Length)
        {
            throw ImageFormatException.Damaged(name, $"a pixel names colour {index} but the PNG palette has {palette.Length / 3}");
        }

        palette.AsSpan(3 * index, 3).CopyTo(pixel);
        if (pixel.Length == 4)
        {
            pixel[3] = index < transparency.Length ? transparency[index] : byte.MaxValue;
        }
    }
}

using System.Buffers.Binary;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>The IHDR chunk of a PNG file.</summary>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Depth">Bits per sample or palette index.</param>
/// <param name="Kind">What a pixel consists of.</param>
/// <param name="Interlaced">True for the seven passes of Adam7.</param>
internal sealed record PngHeader(int Width, int Height, int Depth, PngKind Kind, bool Interlaced)
{
    /// <summary>First column and row and the steps between them, one pass after the other.</summary>
    private static readonly (int X, int Y, int StepX, int StepY)[] Adam7 =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    private static readonly (int X, int Y, int StepX, int StepY)[] OnePass = [(0, 0, 1, 1)];

    /// <summary>Samples per stored pixel.</summary>
    public int Samples => Kind switch { PngKind.Rgb => 3, PngKind.GrayAlpha => 2, PngKind.Rgba => 4, _ => 1 };

    /// <summary>Bits per stored pixel.</summary>
    public int BitsPerPixel => Samples * Depth;

    /// <summary>The passes that hold pixels.</summary>
    public IEnumerable<PngPass> Passes
    {
        get
        {
            foreach (var (x, y, stepX, stepY) in Interlaced ? Adam7 : OnePass)
            {
                int width = (Width - x + stepX - 1) / stepX, height = (Height - y + stepY - 1) / stepY;
                if (width > 0 && height > 0)
                {
                    yield return new PngPass(x, y, stepX, stepY, width, height);
                }
            }
        }
    }

    /// <summary>Bytes of all rows with their filter bytes, uncompressed.</summary>
    public long RawLength => Passes.Sum(pass => (1L + RowLength(pass)) * pass.Height);

    /// <summary>Bytes of one row without its filter byte.</summary>
    public int RowLength(PngPass pass) => checked((int)((((long)pass.Width * BitsPerPixel) + 7) / 8));

    /// <summary>Reads and checks the chunk.</summary>
    public static PngHeader Parse(string name, ReadOnlySpan<byte> data)
    {
        if (data.Length != 13)
        {
            throw ImageFormatException.Damaged(name, $"the PNG header has {data.Length} bytes");
        }

        uint width = BinaryPrimitives.ReadUInt32BigEndian(data), height = BinaryPrimitives.ReadUInt32BigEndian(data[4..]);
        FileStructure.CheckSize(name, width, height);
        int depth = data[8];
        bool known = (PngKind)data[9] switch
        {
            PngKind.Gray => depth is 1 or 2 or 4 or 8 or 16,
            PngKind.Palette => depth is 1 or 2 or 4 or 8,
            PngKind.Rgb or PngKind.GrayAlpha or PngKind.Rgba => depth is 8 or 16,
            _ => false,
        };
        if (!known || data[10] != 0 || data[11] != 0 || data[12] > 1)
        {
            throw ImageFormatException.Damaged(name, $"PNG colour type {data[9]} with {depth} bits, "
                + $"compression {data[10]}, filter {data[11]}, interlacing {data[12]} does not exist");
        }

        return new PngHeader((int)width, (int)height, depth, (PngKind)data[9], data[12] == 1);
    }
}

/// <summary>PNG colour types, with their numbers.</summary>
internal enum PngKind
{
    Gray = 0,
    Rgb = 2,
    Palette = 3,
    GrayAlpha = 4,
    Rgba = 6,
}

/// <summary>One pass over an image: its first column and row, the steps between them, and its size in pixels.</summary>
internal readonly record struct PngPass(int X, int Y, int StepX, int StepY, int Width, int Height);

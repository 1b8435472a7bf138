using System.Buffers.Binary;
using System.IO.Compression;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Writes PNG files, whole or not at all.</summary>
public static class PngWriter
{
    private const int FilterCount = 5;

    /// <summary>Writes a file beside the target first, then renames it over.</summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="image">Grey, grey and alpha, RGB or RGBA.</param>
    /// <exception cref="IOException">The file cannot be written; the previous one is untouched.</exception>
    public static void Write(string path, PixelImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        AtomicFile.Write(path, stream => Write(stream, image));
    }

    /// <summary>Writes the bytes of a PNG file.</summary>
    /// <param name="stream">Need not seek.</param>
    /// <param name="image">Grey, grey and alpha, RGB or RGBA.</param>
    public static void Write(Stream stream, PixelImage image)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(image);
        var kind = image.Channels switch { 1 => PngKind.Gray, 2 => PngKind.GrayAlpha, 3 => PngKind.Rgb, _ => PngKind.Rgba };
        Span<byte> header = stackalloc byte[13];
        header.Clear();
        BinaryPrimitives.WriteInt32BigEndian(header, image.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], image.Height);
        header[8] = 8;
        header[9] = (byte)kind;

        stream.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10]);
        WriteChunk(stream, "IHDR"u8, header);
        WriteChunk(stream, "IDAT"u8, Compress(image));
        WriteChunk(stream, "IEND"u8, []);
    }

    private static ReadOnlySpan<byte> Compress(PixelImage image)
    {
        var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            int length = image.Width * image.Channels;
            var above = new byte[length];
            var filtered = new byte[FilterCount][];
            for (int filter = 0; filter < FilterCount; filter++)
            {
                filtered[filter] = new byte[length + 1];
                filtered[filter][0] = (byte)filter;
            }

            for (int y = 0; y < image.Height; y++)
            {
                var row = image.Pixels.AsSpan(y * length, length);
                zlib.Write(Filter(row, above, image.Channels, filtered));
                row.CopyTo(above);
            }
        }

        return compressed.GetBuffer().AsSpan(0, (int)compressed.Length);
    }

    /// <summary>Tries every filter and takes the one whose residuals, as signed bytes, have the smallest sum of magnitudes.</summary>
    /// <remarks>The heuristic that the PNG specification recommends.</remarks>
    private static byte[] Filter(ReadOnlySpan<byte> row, ReadOnlySpan<byte> above, int distance, byte[][] filtered)
    {
        Span<long> sums = stackalloc long[FilterCount];
        sums.Clear();
        for (int i = 0; i < row.Length; i++)
        {
            int left = i < distance ? 0 : row[i - distance], corner = i < distance ? 0 : above[i - distance];
            for (int filter = 0; filter < FilterCount; filter++)
            {
                int prediction = filter switch
                {
                    0 => 0,
                    1 => left,
                    2 => above[i],
                    3 => (left + above[i]) >> 1,
                    _ => PngExpander.PaethPredictor(left, above[i], corner),
                };
                byte residual = (byte)(row[i] - prediction);
                filtered[filter][i + 1] = residual;
                sums[filter] += Math.Abs((int)(sbyte)residual);
            }
        }

        int best = 0;
        for (int filter = 1; filter < FilterCount; filter++)
        {
            best = sums[filter] < sums[best] ? filter : best;
        }

        return filtered[best];
    }

    private static void WriteChunk(Stream stream, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        stream.Write(number);
        stream.Write(type);
        stream.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.Compute(data, Crc32.Compute(type)));
        stream.Write(number);
    }
}

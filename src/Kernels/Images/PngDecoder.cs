using System.Buffers.Binary;
using System.IO.Compression;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Decodes PNG files of every colour type, depth and interlacing; checksums are checked.</summary>
/// <remarks>Source: PNG specification, third edition (W3C). A palette becomes RGB, a tRNS chunk an alpha channel.</remarks>
internal sealed class PngDecoder
{
    /// <summary>Deflate shrinks at most 1032 to 1; a header that promises more pixels lies.</summary>
    private const long LargestRatio = 1032;

    private readonly string name;
    private readonly byte[] bytes;
    private readonly List<Range> imageData = [];
    private PngHeader? header;
    private byte[] palette = [];
    private byte[] transparency = [];

    private PngDecoder(string name, byte[] bytes)
    {
        this.name = name;
        this.bytes = bytes;
    }

    /// <summary>Decodes a file.</summary>
    /// <param name="name">Named in errors.</param>
    /// <param name="bytes">The whole file.</param>
    public static PixelImage Decode(string name, byte[] bytes)
    {
        var decoder = new PngDecoder(name, bytes);
        decoder.ReadChunks();
        return decoder.ReadPixels();
    }

    private void ReadChunks()
    {
        ReadOnlySpan<byte> signature = [0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10];
        if (bytes.Length < signature.Length)
        {
            throw ImageFormatException.CutShort(name, "PNG");
        }

        if (!bytes.AsSpan().StartsWith(signature))
        {
            throw ImageFormatException.Damaged(name, "the PNG signature is wrong (transferred as text?)");
        }

        for (int at = signature.Length; ;)
        {
            // A chunk is its length, four letters, the data and a checksum of letters and data.
            if (bytes.Length - at < 12 || BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(at)) > bytes.Length - at - 12)
            {
                throw ImageFormatException.CutShort(name, "PNG");
            }

            int length = BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(at));
            var type = bytes.AsSpan(at + 4, 4);
            if (Crc32.Compute(bytes.AsSpan(at + 4, 4 + length)) != BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(at + 8 + length)))
            {
                throw ImageFormatException.Damaged(name, "the checksum of a PNG chunk is wrong");
            }

            if (type.SequenceEqual("IEND"u8))
            {
                return;
            }

            ReadChunk(type, at + 8, length);
            at += 12 + length;
        }
    }

    private void ReadChunk(ReadOnlySpan<byte> type, int start, int length)
    {
        var data = bytes.AsSpan(start, length);
        if (header is null && !type.SequenceEqual("IHDR"u8))
        {
            throw ImageFormatException.Damaged(name, "the PNG file does not begin with its header");
        }

        switch (type)
        {
            case [(byte)'I', (byte)'H', (byte)'D', (byte)'R']:
                header = PngHeader.Parse(name, data);
                break;
            case [(byte)'P', (byte)'L', (byte)'T', (byte)'E']:
                palette = length % 3 == 0 && length is > 0 and <= 768
                    ? data.ToArray()
                    : throw ImageFormatException.Damaged(name, $"the PNG palette has {length} bytes");
                break;
            case [(byte)'t', (byte)'R', (byte)'N', (byte)'S']:
                transparency = data.ToArray();
                break;
            case [(byte)'I', (byte)'D', (byte)'A', (byte)'T']:
                imageData.Add(start..(start + length));
                break;
            case [>= (byte)'A' and <= (byte)'Z', ..]:
                throw ImageFormatException.Damaged(name, "the PNG file holds a critical chunk of an unknown kind");
        }
    }

    private PixelImage ReadPixels()
    {
        if (header is null || imageData.Count == 0)
        {
            throw ImageFormatException.Damaged(name, "the PNG file holds no image");
        }

        byte[] compressed = bytes;
        var range = imageData[0];
        if (imageData.Count > 1)
        {
            compressed = [.. imageData.SelectMany(part => bytes[part])];
            range = ..compressed.Length;
        }

        var (offset, length) = range.GetOffsetAndLength(compressed.Length);
        if (header.RawLength > (length + 64) * LargestRatio)
        {
            throw ImageFormatException.Damaged(name, $"{length} bytes of PNG data cannot hold {header.Width}x{header.Height} pixels");
        }

        var expander = new PngExpander(name, header, palette, transparency);
        try
        {
            using var stream = new ZLibStream(new MemoryStream(compressed, offset, length), CompressionMode.Decompress);
            var pixels = expander.Read(stream);
            // Reading on to the end makes zlib compare its checksum.
            stream.ReadByte();
            return new PixelImage(header.Width, header.Height, expander.Channels, pixels);
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException)
        {
            throw ImageFormatException.Damaged(name, "the compressed PNG data is damaged or too short", error);
        }
    }
}

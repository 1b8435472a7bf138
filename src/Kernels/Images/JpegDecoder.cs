using System.Buffers.Binary;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Decodes baseline and progressive JPEG files to the bytes that libjpeg gives with its default settings.</summary>
/// <remarks>
/// Sources: ITU-T T.81 for the format; libjpeg 6b for what the standard leaves open (rounding, chroma upsampling, colours).
/// Arithmetic coding, lossless coding and 12-bit samples are refused.
/// </remarks>
internal sealed class JpegDecoder
{
    private readonly string name;
    private readonly byte[] bytes;
    private readonly JpegHuffmanTable?[] dcTables = new JpegHuffmanTable?[4];
    private readonly JpegHuffmanTable?[] acTables = new JpegHuffmanTable?[4];
    private readonly int[]?[] quantisation = new int[]?[4];
    private JpegFrame? frame;
    private int restartInterval;
    private bool isJfif;
    private int? adobeTransform;

    private JpegDecoder(string name, byte[] bytes)
    {
        this.name = name;
        this.bytes = bytes;
    }

    /// <summary>Decodes a file.</summary>
    /// <param name="name">Named in errors.</param>
    /// <param name="bytes">The whole file.</param>
    /// <returns>Grey, or RGB for everything with colours.</returns>
    public static PixelImage Decode(string name, byte[] bytes)
    {
        var decoder = new JpegDecoder(name, bytes);
        decoder.ReadSegments();
        var frame = decoder.frame;
        if (frame is null || frame.Components.Any(component => component.Quantisation is null))
        {
            throw ImageFormatException.Damaged(name, "the JPEG file holds no complete image");
        }

        frame.FinishProgressive();
        return JpegColors.ToImage(frame, decoder.ColorSpace(frame));
    }

    private void ReadSegments()
    {
        for (int at = 2; ;)
        {
            // Entropy-coded data writes 0xFF as FF 00 and holds the restart markers D0 to D7; any number of FF may precede a marker.
            while (at + 1 < bytes.Length && (bytes[at] != 0xFF || bytes[at + 1] is 0 or 0xFF or (>= 0xD0 and <= 0xD7)))
            {
                at++;
            }

            if (at + 1 >= bytes.Length)
            {
                throw ImageFormatException.CutShort(name, "JPEG");
            }

            byte marker = bytes[at + 1];
            if (marker == 0xD9)
            {
                return;
            }

            int length = at + 4 <= bytes.Length ? BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(at + 2)) : int.MaxValue - at - 2;
            if (at + 2 + length > bytes.Length || length < 2)
            {
                throw ImageFormatException.CutShort(name, "JPEG");
            }

            ReadSegment(marker, bytes.AsSpan(at + 4, length - 2), at + 2 + length);
            at += 2 + length;
        }
    }

    private void ReadSegment(byte marker, ReadOnlySpan<byte> data, int end)
    {
        switch (marker)
        {
            case 0xC0 or 0xC1 or 0xC2:
                frame = frame is null
                    ? JpegFrame.Parse(name, data, isProgressive: marker == 0xC2)
                    : throw ImageFormatException.Damaged(name, "the JPEG file holds two frames");
                break;
            case 0xC4:
                ReadHuffmanTables(data);
                break;
            case >= 0xC3 and <= 0xCF and not 0xC8:
                throw new ImageFormatException(name,
                    $"this kind of JPEG (marker FF{marker:X2}: lossless, hierarchical or arithmetic coding) "
                    + "is not decoded", "convert the file to baseline JPEG or PNG");
            case 0xDB:
                ReadQuantisation(data);
                break;
            case 0xDD:
                restartInterval = data.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(data) : throw BadSegment("restart interval");
                break;
            case 0xDA:
                ReadScan(data, end);
                break;
            case 0xE0 when data.StartsWith("JFIF\0"u8):
                isJfif = true;
                break;
            case 0xEE when data.Length >= 12 && data.StartsWith("Adobe"u8):
                adobeTransform = data[11];
                break;
        }
    }

    private void ReadHuffmanTables(ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            int total = 0;
            for (int i = 1; i <= 16 && data.Length >= 17; i++)
            {
                total += data[i];
            }

            if (data.Length < 17 + total || total > 256 || (data[0] & 0x0F) > 3 || data[0] >> 4 > 1)
            {
                throw BadSegment("Huffman table");
            }

            var table = JpegHuffmanTable.TryBuild(data.Slice(1, 16), data.Slice(17, total)) ?? throw BadSegment("Huffman table");
            (data[0] >> 4 == 0 ? dcTables : acTables)[data[0] & 3] = table;
            data = data[(17 + total)..];
        }
    }

    private void ReadQuantisation(ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            int bytesPerValue = 1 + (data[0] >> 4), length = 1 + (64 * bytesPerValue);
            if (bytesPerValue > 2 || (data[0] & 0x0F) > 3 || data.Length < length)
            {
                throw BadSegment("quantisation table");
            }

            var table = new int[64];
            for (int i = 0; i < 64; i++)
            {
                table[JpegFrame.ZigZag[i]] = bytesPerValue == 1 ? data[1 + i] : BinaryPrimitives.ReadUInt16BigEndian(data[(1 + (2 * i))..]);
            }

            quantisation[data[0] & 3] = table;
            data = data[length..];
        }
    }

    private void ReadScan(ReadOnlySpan<byte> data, int start)
    {
        if (frame is null || data.IsEmpty || data[0] is 0 or > 4 || data.Length < 4 + (2 * data[0]))
        {
            throw BadSegment("scan header");
        }

        var components = new JpegComponent[data[0]];
        for (int i = 0; i < components.Length; i++)
        {
            int id = data[1 + (2 * i)], tables = data[2 + (2 * i)];
            var component = frame.Components.FirstOrDefault(candidate => candidate.Id == id) ?? throw BadSegment("scan header");
            component.DcTable = dcTables[(tables >> 4) & 3];
            component.AcTable = acTables[tables & 3];
            component.Quantisation ??= quantisation[component.QuantisationIndex]
                ?? throw BadSegment("scan header (quantisation table missing)");
            components[i] = component;
        }

        int tail = 1 + (2 * components.Length);
        var band = new JpegBand(data[tail], data[tail + 1], data[tail + 2] >> 4, data[tail + 2] & 15);
        bool valid = !frame.IsProgressive
            || (band.First <= band.Last && band.Last < 64 && band.Low <= 13 && (band.First == 0 ? band.Last == 0 : components.Length == 1));
        if (!valid || components.Distinct().Count() != components.Length)
        {
            throw BadSegment("scan header");
        }

        new JpegScan(name, frame, components, band, new JpegBitReader(name, bytes, start)).Decode(restartInterval);
    }

    private JpegColorSpace ColorSpace(JpegFrame frame)
    {
        var ids = frame.Components.Select(component => component.Id);
        return frame.Components.Length switch
        {
            1 => JpegColorSpace.Gray,
            4 => adobeTransform == 2 ? JpegColorSpace.InvertedYcck : JpegColorSpace.InvertedCmyk,
            _ when isJfif => JpegColorSpace.YCbCr,
            _ when adobeTransform is not null => adobeTransform == 0 ? JpegColorSpace.Rgb : JpegColorSpace.YCbCr,
            _ => ids.SequenceEqual([(int)'R', 'G', 'B']) ? JpegColorSpace.Rgb : JpegColorSpace.YCbCr,
        };
    }

    private ImageFormatException BadSegment(string segment) => ImageFormatException.Damaged(name, $"the JPEG {segment} is malformed");
}

using System.Buffers.Binary;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Walks the structure of BMP and GIF files, because their decoder fills what is missing with black.</summary>
internal static class FileStructure
{
    /// <summary>Compares the size in the header with the length of the file.</summary>
    public static void CheckBmp(string name, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 30)
        {
            throw ImageFormatException.CutShort(name, "BMP");
        }

        long start = BinaryPrimitives.ReadUInt32LittleEndian(bytes[10..]);
        bool isOld = BinaryPrimitives.ReadUInt32LittleEndian(bytes[14..]) == 12;
        long width = isOld ? BinaryPrimitives.ReadUInt16LittleEndian(bytes[18..]) : BinaryPrimitives.ReadInt32LittleEndian(bytes[18..]);
        long height = isOld
            ? BinaryPrimitives.ReadUInt16LittleEndian(bytes[20..])
            : Math.Abs((long)BinaryPrimitives.ReadInt32LittleEndian(bytes[22..]));
        int bits = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(isOld ? 24 : 28)..]);
        CheckSize(name, width, height);
        if (start + ((((width * bits) + 31) / 32 * 4) * height) > bytes.Length)
        {
            throw ImageFormatException.CutShort(name, "BMP");
        }
    }

    /// <summary>Follows the blocks to the end of the first frame.</summary>
    public static void CheckGif(string name, ReadOnlySpan<byte> bytes)
    {
        const byte Image = 0x2C, Extension = 0x21;
        if (bytes.Length < 13)
        {
            throw ImageFormatException.CutShort(name, "GIF");
        }

        CheckSize(name, BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]), BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]));
        for (int at = 13 + ColorTable(bytes[10]); at < bytes.Length;)
        {
            byte block = bytes[at];
            if (block is not (Image or Extension))
            {
                throw ImageFormatException.Damaged(name, "the GIF file holds no image");
            }

            int length = block == Extension ? 2 : at + 9 < bytes.Length ? 11 + ColorTable(bytes[at + 9]) : bytes.Length;
            for (at += length; at < bytes.Length && bytes[at] != 0; at += bytes[at] + 1)
            {
            }

            at++;
            if (block == Image && at <= bytes.Length)
            {
                return;
            }
        }

        throw ImageFormatException.CutShort(name, "GIF");

        static int ColorTable(byte flags) => (flags & 0x80) != 0 ? 3 << ((flags & 7) + 1) : 0;
    }

    /// <summary>Refuses an image without pixels or with more than <see cref="PixelImage.LargestPixelCount"/>.</summary>
    public static void CheckSize(string name, long width, long height)
    {
        if (width <= 0 || height <= 0 || width > PixelImage.LargestPixelCount / height)
        {
            throw ImageFormatException.Damaged(name,
                $"the header says {width}x{height} pixels, from 1 to {PixelImage.LargestPixelCount} are possible");
        }
    }
}

using System.Buffers.Binary;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>The checksum of zip archives and PNG chunks: CRC-32, reflected polynomial 0xEDB88320.</summary>
public static class Crc32
{
    private const int Lanes = 8;

    /// <summary>Entry [k * 256 + b]: the checksum of byte b followed by k zero bytes.</summary>
    private static readonly uint[] Table = MakeTable();

    /// <summary>Continues a checksum.</summary>
    /// <param name="bytes">The bytes to add.</param>
    /// <param name="seed">The checksum of the bytes before them, 0 at the start.</param>
    public static uint Compute(ReadOnlySpan<byte> bytes, uint seed = 0)
    {
        ReadOnlySpan<uint> table = Table.AsSpan(0, Lanes * 256);
        uint crc = ~seed;
        // Eight bytes at a time: a byte's share of the sum does not depend on the others'.
        for (; bytes.Length >= Lanes; bytes = bytes[Lanes..])
        {
            uint low = crc ^ BinaryPrimitives.ReadUInt32LittleEndian(bytes), high = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
            crc = table[1792 + (int)(low & 255)] ^ table[1536 + (int)((low >> 8) & 255)]
                ^ table[1280 + (int)((low >> 16) & 255)] ^ table[1024 + (int)(low >> 24)]
                ^ table[768 + (int)(high & 255)] ^ table[512 + (int)((high >> 8) & 255)]
                ^ table[256 + (int)((high >> 16) & 255)] ^ table[(int)(high >> 24)];
        }

        foreach (byte value in bytes)
        {
            crc = table[(byte)(crc ^ value)] ^ (crc >> 8);
        }

        return ~crc;
    }

    private static uint[] MakeTable()
    {
        var table = new uint[Lanes * 256];
        for (uint i = 0; i < 256; i++)
        {
            uint value = i;
            for (int bit = 0; bit < 8; bit++)
            {
                value = (value >> 1) ^ ((value & 1) * 0xEDB88320);
            }

            table[i] = value;
        }

        for (int i = 256; i < table.Length; i++)
        {
            table[i] = table[(byte)table[i - 256]] ^ (table[i - 256] >> 8);
        }

        return table;
    }
}

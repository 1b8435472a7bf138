using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>The checksum of zip archives and PNG chunks: CRC-32, reflected polynomial 0xEDB88320.</summary>
public static class Crc32
{
    private const int Lanes = 8;
    private const int FoldBytes = 64;

    /// <summary>Entry [k * 256 + b]: the checksum of byte b followed by k zero bytes.</summary>
    private static readonly uint[] Table = MakeTable();

    /// <summary>Continues a checksum.</summary>
    /// <param name="bytes">The bytes to add.</param>
    /// <param name="seed">The checksum of the bytes before them, 0 at the start.</param>
    public static uint Compute(ReadOnlySpan<byte> bytes, uint seed = 0)
    {
        uint crc = ~seed;
        if (Pclmulqdq.IsSupported && BitConverter.IsLittleEndian && bytes.Length >= 2 * FoldBytes)
        {
            crc = Fold(ref bytes, crc);
        }

        return ~Append(bytes, crc);
    }

    /// <summary>Shrinks all whole 64 bytes to 16 that leave the same remainder, by products without carries.</summary>
    /// <remarks>Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction, Intel 2009: the constants are
    /// x^n mod P, bit-reflected, for n = 512 ± 32 and 128 ± 32.</remarks>
    private static uint Fold(ref ReadOnlySpan<byte> bytes, uint crc)
    {
        var by64 = Vector128.Create(0x1_5444_2BD4ul, 0x1_C6E4_1596ul);
        var by16 = Vector128.Create(0x1_7519_97D0ul, 0x0_CCAA_009Eul);
        var blocks = MemoryMarshal.Cast<byte, Vector128<ulong>>(bytes);
        var a = blocks[0] ^ Vector128.CreateScalar((ulong)crc);
        Vector128<ulong> b = blocks[1], c = blocks[2], d = blocks[3];
        int at = 4;
        for (; at + 4 <= blocks.Length; at += 4)
        {
            a = Multiply(a, by64) ^ blocks[at];
            b = Multiply(b, by64) ^ blocks[at + 1];
            c = Multiply(c, by64) ^ blocks[at + 2];
            d = Multiply(d, by64) ^ blocks[at + 3];
        }

        a = Multiply(Multiply(Multiply(a, by16) ^ b, by16) ^ c, by16) ^ d;
        bytes = bytes[(16 * at)..];
        return Append(MemoryMarshal.AsBytes(new ReadOnlySpan<Vector128<ulong>>(in a)), 0);
    }

    private static Vector128<ulong> Multiply(Vector128<ulong> value, Vector128<ulong> power)
        => Pclmulqdq.CarrylessMultiply(value, power, 0x00) ^ Pclmulqdq.CarrylessMultiply(value, power, 0x11);

    private static uint Append(ReadOnlySpan<byte> bytes, uint crc)
    {
        ReadOnlySpan<uint> table = Table.AsSpan(0, Lanes * 256);
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

        return crc;
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

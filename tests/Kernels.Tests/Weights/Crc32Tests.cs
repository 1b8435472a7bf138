using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Tests.Weights;

public sealed class Crc32Tests
{
    [Test]
    public void Crc32_of_the_standards_check_text_is_the_standards()
        => Assert.That(Crc32.Compute("123456789"u8), Is.EqualTo(0xCBF43926));

    [Test]
    public void Crc32_is_that_of_single_bits_for_every_length_and_split()
    {
        var bytes = new byte[700];
        new Random(5).NextBytes(bytes);
        for (int length = 0; length <= bytes.Length; length++)
        {
            var part = bytes.AsSpan(0, length);
            uint expected = BitByBit(part);
            Assert.That(Crc32.Compute(part), Is.EqualTo(expected), $"{length} bytes");
            int split = length * 2 / 3;
            Assert.That(Crc32.Compute(part[split..], Crc32.Compute(part[..split])), Is.EqualTo(expected), $"{length} bytes in two parts");
        }
    }

    private static uint BitByBit(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320);
        }
        return ~crc;
    }
}

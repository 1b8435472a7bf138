namespace Diffusion.Gpu.Kernels;

/// <summary>Four random words of one counter.</summary>
internal readonly record struct PhiloxBlock(uint A, uint B, uint C, uint D);

/// <summary>
/// Counter-based random numbers: number i of sample s of a key is a function of these three alone, the same bits on every backend.
/// </summary>
/// <remarks>Philox4x32-10, Salmon et al., 2011 (Random123). The counter is (i / 4, sample, draw, stream), the key is the seed.
/// Only integer arithmetic and one exact conversion lie between the words and the numbers, so no backend can round differently.</remarks>
public static class Philox
{
    internal const uint MultiplierA = 0xD2511F53;
    internal const uint MultiplierB = 0xCD9E8D57;
    internal const uint WeylA = 0x9E3779B9;
    internal const uint WeylB = 0xBB67AE85;
    internal const int Rounds = 10;

    /// <summary>A uniform number in [0, 1), a multiple of 2^-24.</summary>
    /// <param name="key">Names the numbers.</param>
    /// <param name="sample">Row of the batch; the sample is key.FirstSample + sample.</param>
    /// <param name="index">Which number of the sample.</param>
    public static float Uniform(in RandomKey key, uint sample, uint index) => ToUniform(Word(key, sample, index));

    /// <summary>A standard normal number.</summary>
    /// <param name="key">Names the numbers.</param>
    /// <param name="sample">Row of the batch; the sample is key.FirstSample + sample.</param>
    /// <param name="index">Which number of the sample.</param>
    public static float Normal(in RandomKey key, uint sample, uint index) => NormalTable.ToNormal(Word(key, sample, index));

    /// <summary>A random integer in [0, bound).</summary>
    /// <param name="key">Names the numbers.</param>
    /// <param name="sample">Row of the batch; the sample is key.FirstSample + sample.</param>
    /// <param name="index">Which number of the sample.</param>
    /// <param name="bound">At least 1; the bias is below bound / 2^32.</param>
    public static int Integer(in RandomKey key, uint sample, uint index, int bound)
        => (int)(((ulong)Word(key, sample, index) * (ulong)bound) >> 32);

    /// <summary>Four words of a key; also called from kernels.</summary>
    /// <param name="key">Names the numbers.</param>
    /// <param name="sample">Row of the batch.</param>
    /// <param name="block">Index of the number, divided by 4.</param>
    internal static PhiloxBlock Block(in RandomKey key, uint sample, uint block)
        => Block(block, key.FirstSample + sample, key.Draw, key.Stream, (uint)key.Seed, (uint)(key.Seed >> 32));

    /// <summary>The ten rounds.</summary>
    internal static PhiloxBlock Block(uint a, uint b, uint c, uint d, uint keyA, uint keyB)
    {
        for (int round = 0; round < Rounds; round++)
        {
            ulong productA = (ulong)MultiplierA * a;
            ulong productB = (ulong)MultiplierB * c;
            a = (uint)(productB >> 32) ^ b ^ keyA;
            c = (uint)(productA >> 32) ^ d ^ keyB;
            b = (uint)productB;
            d = (uint)productA;
            keyA += WeylA;
            keyB += WeylB;
        }
        return new PhiloxBlock(a, b, c, d);
    }

    /// <summary>The upper 24 bits as a fraction: exact in a float.</summary>
    internal static float ToUniform(uint word) => (word >> 8) * (1f / (1 << 24));

    private static uint Word(in RandomKey key, uint sample, uint index)
    {
        var block = Block(key, sample, index >> 2);
        return (index & 3) switch { 0 => block.A, 1 => block.B, 2 => block.C, _ => block.D };
    }
}

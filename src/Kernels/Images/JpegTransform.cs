namespace Diffusion.Gpu.Kernels.Images;

/// <summary>The inverse cosine transform of JPEG blocks, in the integer arithmetic that libjpeg calls "islow".</summary>
/// <remarks>
/// Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications" (1989): 13 fractional bits in
/// the constants, two extra bits between the column and the row pass. Other roundings differ from libjpeg's by a level or two.
/// </remarks>
internal static class JpegTransform
{
    private const int ConstantBits = 13;
    private const int ExtraBits = 2;

    /// <summary>Transforms one block.</summary>
    /// <param name="coefficients">[8, 8], quantised.</param>
    /// <param name="quantisation">[8, 8].</param>
    /// <param name="target">Receives 8 rows of 8 samples.</param>
    /// <param name="stride">Distance of the rows in the target.</param>
    public static void Invert(ReadOnlySpan<short> coefficients, ReadOnlySpan<int> quantisation, Span<byte> target, int stride)
    {
        Span<int> work = stackalloc int[64];
        Span<int> line = stackalloc int[8];
        for (int x = 0; x < 8; x++)
        {
            int others = 0;
            for (int y = 0; y < 8; y++)
            {
                int coefficient = coefficients[(8 * y) + x];
                line[y] = coefficient * quantisation[(8 * y) + x];
                others |= y == 0 ? 0 : coefficient;
            }

            if (others == 0)
            {
                // A column of a constant, which is most of them.
                for (int y = 0; y < 8; y++)
                {
                    work[(8 * y) + x] = line[0] << ExtraBits;
                }

                continue;
            }

            Invert(line, ConstantBits - ExtraBits);
            for (int y = 0; y < 8; y++)
            {
                work[(8 * y) + x] = line[y];
            }
        }

        for (int y = 0; y < 8; y++)
        {
            var row = work.Slice(8 * y, 8);
            Invert(row, ConstantBits + ExtraBits + 3);
            var samples = target.Slice(y * stride, 8);
            for (int x = 0; x < 8; x++)
            {
                samples[x] = (byte)Math.Clamp(row[x] + 128, 0, 255);
            }
        }
    }

    /// <summary>One dimension, in place; the result is rounded and shifted right.</summary>
    private static void Invert(Span<int> v, int shift)
    {
        // cos and sin of multiples of pi/16, combined as in the paper's figure 1, times 2^13.
        const int C0298 = 2446, C0390 = 3196, C0541 = 4433, C0765 = 6270, C0899 = 7373, C1175 = 9633;
        const int C1501 = 12299, C1847 = 15137, C1961 = 16069, C2053 = 16819, C2562 = 20995, C3072 = 25172;

        int even = (v[2] + v[6]) * C0541;
        int even2 = even - (v[6] * C1847), even3 = even + (v[2] * C0765);
        int even0 = (v[0] + v[4]) << ConstantBits, even1 = (v[0] - v[4]) << ConstantBits;
        int sum0 = even0 + even3, sum3 = even0 - even3, sum1 = even1 + even2, sum2 = even1 - even2;

        int z1 = (v[7] + v[1]) * -C0899, z2 = (v[5] + v[3]) * -C2562;
        int z3 = v[7] + v[3], z4 = v[5] + v[1], z5 = (z3 + z4) * C1175;
        z3 = (z3 * -C1961) + z5;
        z4 = (z4 * -C0390) + z5;
        int odd0 = (v[7] * C0298) + z1 + z3, odd1 = (v[5] * C2053) + z2 + z4;
        int odd2 = (v[3] * C3072) + z2 + z3, odd3 = (v[1] * C1501) + z1 + z4;

        int half = 1 << (shift - 1);
        v[0] = (sum0 + odd3 + half) >> shift;
        v[7] = (sum0 - odd3 + half) >> shift;
        v[1] = (sum1 + odd2 + half) >> shift;
        v[6] = (sum1 - odd2 + half) >> shift;
        v[2] = (sum2 + odd1 + half) >> shift;
        v[5] = (sum2 - odd1 + half) >> shift;
        v[3] = (sum3 + odd0 + half) >> shift;
        v[4] = (sum3 - odd0 + half) >> shift;
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What a tile's operands are made of. Sums are of 32 bits for every element.</summary>
internal interface ITileElement
{
    /// <summary>log2 of the bytes of a value.</summary>
    static abstract int ByteShift { get; }

    /// <summary>The PTX name of one product of fragments; read while compiling, never in a kernel.</summary>
    static abstract string Product { get; }

    /// <summary>The end of the PTX name of a warpgroup's product; read while compiling, never in a kernel.</summary>
    static abstract string WarpgroupProduct { get; }

    /// <summary>What a sum of products is multiplied by, once, before anything else is done with it.</summary>
    static abstract float Correction { get; }

    /// <summary>The sum and the products of what two words hold, as a tensor core computes them.</summary>
    static abstract float MultiplyAdd(uint left, uint right, float sum);
}

/// <summary>32-bit floats as they lie in memory. Tensor cores leave the low 13 bits of the mantissa out.</summary>
/// <remarks>Values go to the tensor cores as they are, for rounding a fragment takes two instructions a register, half of the loop. Cutting
/// off makes every product smaller, by 7.08e-4 on the average of normal values, which one factor for the sum takes back. Sums of 288
/// products of normal values against double precision, relative to their root mean square (largest, root mean square, gain): rounded to
/// nearest 8.5e-4, 2.9e-4, 0; cut off 2.7e-3, 7.7e-4, −7.1e-4; cut off and corrected 1.1e-3, 3.1e-4, 0. Values after ReLU and SiLU
/// differ by less than 1e-5 in gain, uniform ones by 7e-5. The price: products of values that TF32 holds exactly are 7e-4 too
/// large, where rounding would have been exact. NaN and infinity stay: 0x7FFFFFFF, the NaN of GPUs, loses low bits only.</remarks>
internal struct TensorFloat32 : ITileElement
{
    public static int ByteShift => 2;

    public static string Product => "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32";

    public static string WarpgroupProduct => "k8.f32.tf32.tf32";

    public static float Correction => 1.000708f;

    public static float MultiplyAdd(uint left, uint right, float sum)
        => sum + (Interop.IntAsFloat(left & 0xFFFFE000u) * Interop.IntAsFloat(right & 0xFFFFE000u));
}

/// <summary>bfloat16: the upper half of a 32-bit float, two to a word, the first in the low half. Products are exact.</summary>
internal struct BFloat16 : ITileElement
{
    public static int ByteShift => 1;

    public static string Product => "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32";

    public static string WarpgroupProduct => "k16.f32.bf16.bf16";

    public static float Correction => 1;

    public static float MultiplyAdd(uint left, uint right, float sum)
    {
        sum += Interop.IntAsFloat(left << 16) * Interop.IntAsFloat(right << 16);
        return sum + (Interop.IntAsFloat(left & 0xFFFF0000u) * Interop.IntAsFloat(right & 0xFFFF0000u));
    }

    /// <summary>Eight floats, each rounded to nearest, halves to even.</summary>
    public static BFloat16Piece Pack(F4 low, F4 high) => new()
    {
        X = Round(low.X) | (Round(low.Y) << 16),
        Y = Round(low.Z) | (Round(low.W) << 16),
        Z = Round(high.X) | (Round(high.Y) << 16),
        W = Round(high.Z) | (Round(high.W) << 16),
    };

    /// <summary>The bits of a value. NaN stays NaN, which rounding its bits would not keep.</summary>
    private static uint Round(float x)
    {
        uint bits = Interop.FloatAsInt(x);
        bool isNaN = (bits & 0x7FFFFFFFu) > 0x7F800000u;
        return isNaN ? (bits >> 16) | 0x40u : (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    }
}

/// <summary>16 bytes of bfloat16.</summary>
internal struct BFloat16Piece
{
    public uint X, Y, Z, W;
}

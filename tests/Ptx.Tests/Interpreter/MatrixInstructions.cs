using System.Numerics;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>ldmatrix: 8 × 8 matrices of 16-bit values, to all lanes of a warp.</summary>
/// <remarks>PTX ISA, "Warp-level matrix load instruction: ldmatrix": lanes 8m to 8m + 7 name the rows of matrix m, 16 bytes each at a
/// multiple of 16; of row r, lanes 4r to 4r + 3 receive two values each in register m. With .trans the matrices are loaded column by
/// column: lane l receives of column l / 4 the rows 2 (l % 4) and the next.</remarks>
internal sealed class LoadMatrices(int[] targets, int address, int offset, bool isTransposed) : PtxInstruction
{
    private const int Side = 8;

    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes)
    {
        Span<byte> matrix = stackalloc byte[Side * 16];
        for (int m = 0; m < targets.Length; m++)
        {
            for (int row = 0; row < Side; row++)
            {
                int namer = (Side * m) + row;
                warp.Group.Shared.ReadTogether(warp.Row(address)[namer] + (ulong)offset, 16, warp.Thread(namer))
                    .CopyTo(matrix[(16 * row)..]);
            }
            var to = warp.Row(targets[m]);
            for (int lane = 0; lane < Lanes.Count; lane++)
            {
                int line = lane >> 2, pair = 2 * (lane & 3);
                to[lane] = isTransposed ? (uint)(Value(matrix, pair, line) | (Value(matrix, pair + 1, line) << 16))
                    : (uint)(Value(matrix, line, pair) | (Value(matrix, line, pair + 1) << 16));
            }
        }
    }

    private static int Value(ReadOnlySpan<byte> matrix, int row, int column)
        => BitConverter.ToUInt16(matrix[((16 * row) + (2 * column))..]);
}

/// <summary>mma: D = A · B + C, with the fragments of a warp.</summary>
/// <typeparam name="T">Of the sums; products of TF32 and BF16 values are exact in 32 bits.</typeparam>
/// <remarks>Sums run over the depth in order and are rounded at every step, which PTX leaves open.</remarks>
internal sealed class MatrixMultiply<T>(MatrixShape shape, int[] sums, int[] left, int[] right, int[] addends) : PtxInstruction
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes)
    {
        Span<T> a = stackalloc T[shape.M * shape.K], b = stackalloc T[shape.K * shape.N], c = stackalloc T[shape.M * shape.N];
        Gather(warp, left, shape.LeftPlaces, shape.ValuesOfRegister, a);
        Gather(warp, right, shape.RightPlaces, shape.ValuesOfRegister, b);
        for (int i = 0; i < addends.Length; i++)
        {
            var from = warp.Row(addends[i]);
            for (int lane = 0; lane < from.Length; lane++)
                c[shape.SumPlaces[(i * Lanes.Count) + lane]] = Value(from[lane]);
        }
        Multiply(a, b, c);
        for (int i = 0; i < sums.Length; i++)
        {
            var to = warp.Row(sums[i]);
            for (int lane = 0; lane < to.Length; lane++)
                to[lane] = Bits(c[shape.SumPlaces[(i * Lanes.Count) + lane]]);
        }
    }

    /// <summary>Row by row, several columns at once.</summary>
    private void Multiply(ReadOnlySpan<T> a, ReadOnlySpan<T> b, Span<T> c)
    {
        for (int row = 0; row < shape.M; row++)
        {
            for (int column = 0; column < shape.N; column += Vector128<T>.Count)
            {
                var line = c.Slice((row * shape.N) + column, Vector128<T>.Count);
                var sum = Vector128.Create<T>(line);
                for (int k = 0; k < shape.K; k++)
                    sum += Vector128.Create(a[(row * shape.K) + k]) * Vector128.Create<T>(b[((k * shape.N) + column)..]);
                sum.CopyTo(line);
            }
        }
    }

    private void Gather(Warp warp, int[] registers, int[] places, int valuesOfRegister, Span<T> matrix)
    {
        for (int i = 0; i < registers.Length; i++)
        {
            var row = warp.Row(registers[i]);
            for (int value = 0; value < valuesOfRegister; value++)
            {
                var to = places.AsSpan(((i * valuesOfRegister) + value) * Lanes.Count, Lanes.Count);
                for (int lane = 0; lane < to.Length; lane++)
                    matrix[to[lane]] = Value(shape.BitsOf(row[lane], value));
            }
        }
    }

    private static T Value(ulong bits)
        => typeof(T) == typeof(float) ? T.CreateTruncating(PtxArithmetic.F(bits)) : T.CreateTruncating(PtxArithmetic.D(bits));

    private static ulong Bits(T value)
        => typeof(T) == typeof(float) ? PtxArithmetic.Bits(float.CreateTruncating(value))
            : PtxArithmetic.Bits(double.CreateTruncating(value));
}

using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>The type of a stored tensor's elements, little-endian in every file.</summary>
public enum ElementType
{
    /// <summary>64-bit float.</summary>
    F64,

    /// <summary>32-bit float.</summary>
    F32,

    /// <summary>16-bit IEEE float.</summary>
    F16,

    /// <summary>The upper 16 bits of a 32-bit float.</summary>
    BF16,

    /// <summary>64-bit signed integer.</summary>
    I64,

    /// <summary>32-bit signed integer.</summary>
    I32,

    /// <summary>16-bit signed integer.</summary>
    I16,

    /// <summary>8-bit signed integer.</summary>
    I8,

    /// <summary>64-bit unsigned integer.</summary>
    U64,

    /// <summary>32-bit unsigned integer.</summary>
    U32,

    /// <summary>16-bit unsigned integer.</summary>
    U16,

    /// <summary>8-bit unsigned integer.</summary>
    U8,

    /// <summary>One byte, 0 or 1.</summary>
    Bool,
}

/// <summary>Sizes and conversions of <see cref="ElementType"/>.</summary>
public static class ElementTypes
{
    /// <summary>Bytes per element.</summary>
    public static int Size(this ElementType type) => type switch
    {
        ElementType.F64 or ElementType.I64 or ElementType.U64 => 8,
        ElementType.F32 or ElementType.I32 or ElementType.U32 => 4,
        ElementType.F16 or ElementType.BF16 or ElementType.I16 or ElementType.U16 => 2,
        _ => 1,
    };

    /// <summary>True for F64, F32, F16 and BF16.</summary>
    public static bool IsFloat(this ElementType type) => type <= ElementType.BF16;

    /// <summary>Widens or rounds stored floats to double; exact for every float type.</summary>
    internal static void ToDoubles(ElementType type, ReadOnlySpan<byte> source, Span<double> destination)
    {
        int size = type.Size();
        for (int i = 0; i < destination.Length; i++)
        {
            var element = source.Slice(i * size, size);
            destination[i] = type switch
            {
                ElementType.F64 => BinaryPrimitives.ReadDoubleLittleEndian(element),
                ElementType.F32 => BinaryPrimitives.ReadSingleLittleEndian(element),
                ElementType.F16 => (double)BinaryPrimitives.ReadHalfLittleEndian(element),
                _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(element) << 16),
            };
        }
    }

    /// <summary>Converts stored floats to 32 bits; exact but for F64, which is rounded to nearest.</summary>
    internal static void ToSingles(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        int size = type.Size();
        for (int i = 0; i < destination.Length; i++)
        {
            var element = source.Slice(i * size, size);
            destination[i] = type switch
            {
                ElementType.F64 => (float)BinaryPrimitives.ReadDoubleLittleEndian(element),
                ElementType.F32 => BinaryPrimitives.ReadSingleLittleEndian(element),
                ElementType.F16 => (float)BinaryPrimitives.ReadHalfLittleEndian(element),
                _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(element) << 16),
            };
        }
    }

    /// <summary>Converts stored floats to another float type, rounding once to nearest, ties to even.</summary>
    /// <param name="from">Type of the source.</param>
    /// <param name="source">Little-endian elements.</param>
    /// <param name="to">Type of the destination.</param>
    /// <param name="destination">Room for as many elements.</param>
    /// <exception cref="ArgumentException">A type is no float, or the lengths do not agree.</exception>
    public static void Round(ElementType from, ReadOnlySpan<byte> source, ElementType to, Span<byte> destination)
    {
        int size = from.Size(), width = to.Size();
        if (!from.IsFloat() || !to.IsFloat() || source.Length / size != destination.Length / width || source.Length % size != 0)
        {
            throw new ArgumentException($"{source.Length} bytes of {from} into {destination.Length} bytes of {to}", nameof(source));
        }

        if (from == ElementType.F32 && to == ElementType.BF16 && BitConverter.IsLittleEndian)
        {
            // The usual way to halve a file; from 32 bits there is nothing to round twice.
            var bits = MemoryMarshal.Cast<byte, uint>(source);
            var upper = MemoryMarshal.Cast<byte, ushort>(destination);
            for (int i = 0; i < bits.Length; i++)
            {
                bool isNaN = (bits[i] & 0x7FFFFFFF) > 0x7F800000;
                upper[i] = isNaN ? (ushort)0x7FC0 : (ushort)((bits[i] + 0x7FFF + ((bits[i] >> 16) & 1)) >> 16);
            }

            return;
        }

        Span<double> values = stackalloc double[256];
        for (int done = 0; done < source.Length / size; done += values.Length)
        {
            var block = values[..Math.Min(values.Length, (source.Length / size) - done)];
            ToDoubles(from, source.Slice(done * size, block.Length * size), block);
            for (int i = 0; i < block.Length; i++)
            {
                var element = destination.Slice((done + i) * width, width);
                switch (to)
                {
                    case ElementType.F64: BinaryPrimitives.WriteDoubleLittleEndian(element, block[i]); break;
                    case ElementType.F32: BinaryPrimitives.WriteSingleLittleEndian(element, (float)block[i]); break;
                    case ElementType.F16: BinaryPrimitives.WriteHalfLittleEndian(element, (Half)block[i]); break;
                    default: BinaryPrimitives.WriteUInt16LittleEndian(element, ToBFloat16(block[i])); break;
                }
            }
        }
    }

    /// <summary>The upper half of a 32-bit float, rounded to nearest even; any NaN becomes the quiet one.</summary>
    private static ushort ToBFloat16(double value)
    {
        if (double.IsNaN(value))
        {
            return 0x7FC0;
        }

        // Rounded to odd on the way, so that the second rounding sees whether the first one dropped anything.
        float single = (float)value;
        uint bits = BitConverter.SingleToUInt32Bits(single);
        if (single != value)
        {
            bits = (Math.Abs((double)single) > Math.Abs(value) ? bits - 1 : bits) | 1;
        }

        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Widens stored integers and booleans.</summary>
    /// <exception cref="OverflowException">A U64 value exceeds 2^63 - 1.</exception>
    internal static void ToIntegers(ElementType type, ReadOnlySpan<byte> source, Span<long> destination)
    {
        int size = type.Size();
        for (int i = 0; i < destination.Length; i++)
        {
            var element = source.Slice(i * size, size);
            destination[i] = type switch
            {
                ElementType.I64 => BinaryPrimitives.ReadInt64LittleEndian(element),
                ElementType.I32 => BinaryPrimitives.ReadInt32LittleEndian(element),
                ElementType.I16 => BinaryPrimitives.ReadInt16LittleEndian(element),
                ElementType.I8 => (sbyte)element[0],
                ElementType.U64 => checked((long)BinaryPrimitives.ReadUInt64LittleEndian(element)),
                ElementType.U32 => BinaryPrimitives.ReadUInt32LittleEndian(element),
                ElementType.U16 => BinaryPrimitives.ReadUInt16LittleEndian(element),
                _ => element[0],
            };
        }
    }
}

/// <summary>Turns stored elements into values; the destination says how many.</summary>
internal delegate void ElementConversion<T>(ElementType type, ReadOnlySpan<byte> source, Span<T> destination);

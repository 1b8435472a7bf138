using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>The header of one .npy array: element type, shape and order.</summary>
/// <remarks>Format: numpy.lib.format, versions 1.0 to 3.0.</remarks>
internal sealed partial record NpyHeader(ElementType Type, int[] Shape, bool ColumnMajor)
{
    /// <summary>More than any array of numbers needs, little enough to allocate unseen.</summary>
    private const int LongestHeader = 1 << 16;

    /// <summary>Bytes of the elements, or null when the shape is too large for any file.</summary>
    public long? ByteLength => TensorEntry.Bytes(Type, Shape);

    /// <summary>Reads a header from the start of an array.</summary>
    /// <param name="stream">Stands behind the header afterwards.</param>
    /// <param name="fault">Makes the error from what was found and what is wanted.</param>
    /// <param name="length">Bytes read.</param>
    public static NpyHeader Read(Stream stream, Func<string, string, WeightsException> fault, out int length)
    {
        Span<byte> start = stackalloc byte[12];
        if (stream.ReadAtLeast(start[..8], 8, throwOnEndOfStream: false) < 8 || start[0] != 0x93 || !start[1..6].SequenceEqual("NUMPY"u8))
        {
            throw fault("does not begin with the mark of a .npy array", "the file is damaged or was not written by numpy.savez");
        }

        int prefix = start[6] switch
        {
            1 => 2,
            2 or 3 => 4,
            _ => throw fault($".npy version {start[6]}.{start[7]}", "expected version 1, 2 or 3"),
        };
        var lengthBytes = start.Slice(8, prefix);
        if (stream.ReadAtLeast(lengthBytes, prefix, throwOnEndOfStream: false) < prefix)
        {
            throw fault("ends inside its header", "the file is cut short: fetch or copy it again");
        }

        uint size = prefix == 2
            ? BinaryPrimitives.ReadUInt16LittleEndian(lengthBytes)
            : BinaryPrimitives.ReadUInt32LittleEndian(lengthBytes);
        if (size > LongestHeader)
        {
            throw fault($"announces a header of {size} bytes", $"expected at most {LongestHeader}: the file is damaged");
        }

        var text = new byte[size];
        if (stream.ReadAtLeast(text, text.Length, throwOnEndOfStream: false) < text.Length)
        {
            throw fault("ends inside its header", "the file is cut short: fetch or copy it again");
        }

        length = 8 + prefix + text.Length;
        return Parse(Encoding.UTF8.GetString(text), fault);
    }

    /// <summary>The header's bytes for a row-major array, padded so that the elements begin at a multiple of 64.</summary>
    public byte[] ToBytes()
    {
        string sizes = string.Concat(Shape.Select(size => size.ToString(CultureInfo.InvariantCulture) + ", ")).TrimEnd();
        sizes = Shape.Length > 1 ? sizes.TrimEnd(',') : sizes;
        string text = $"{{'descr': '{Describe(Type)}', 'fortran_order': False, 'shape': ({sizes}), }}";
        int total = (10 + text.Length + 1 + 63) & ~63;
        var bytes = new byte[total];
        bytes.AsSpan(10).Fill((byte)' ');
        bytes[0] = 0x93;
        "NUMPY\u0001\0"u8.CopyTo(bytes.AsSpan(1));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), checked((ushort)(total - 10)));
        Encoding.ASCII.GetBytes(text, bytes.AsSpan(10));
        bytes[^1] = (byte)'\n';
        return bytes;
    }

    private static NpyHeader Parse(string text, Func<string, string, WeightsException> fault)
    {
        var match = Dictionary().Match(text);
        if (!match.Success)
        {
            throw fault($"has the header \"{text.Trim()}\"",
                "expected 'descr', 'fortran_order' and 'shape' of a plain array (records are not supported)");
        }

        var shape = new List<int>();
        const StringSplitOptions Trimmed = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;
        foreach (string size in match.Groups["shape"].Value.Split(',', Trimmed))
        {
            shape.Add(int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                ? number
                : throw fault($"has the shape ({match.Groups["shape"].Value})", $"expected whole numbers up to {int.MaxValue}"));
        }

        return new NpyHeader(ParseType(match.Groups["type"].Value, fault), [.. shape], match.Groups["order"].Value == "True");
    }

    private static ElementType ParseType(string type, Func<string, string, WeightsException> fault) => type switch
    {
        "<f8" => ElementType.F64,
        "<f4" => ElementType.F32,
        "<f2" => ElementType.F16,
        "<i8" => ElementType.I64,
        "<i4" => ElementType.I32,
        "<i2" => ElementType.I16,
        "|i1" => ElementType.I8,
        "<u8" => ElementType.U64,
        "<u4" => ElementType.U32,
        "<u2" => ElementType.U16,
        "|u1" => ElementType.U8,
        "|b1" => ElementType.Bool,
        _ => throw fault($"holds elements of type '{type}'",
            "expected little-endian numbers such as <f4, <f8 or <i8: convert with array.astype('<f8') and save again"),
    };

    private static string Describe(ElementType type) => type switch
    {
        ElementType.F64 => "<f8",
        ElementType.F32 => "<f4",
        ElementType.I64 => "<i8",
        ElementType.U8 => "|u1",
        _ => throw new ArgumentException($"{type} is not written to .npz files: convert to F64, F32, I64 or U8", nameof(type)),
    };

    // NumPy writes the keys in this order, always.
    [GeneratedRegex(@"^\{\s*'descr':\s*'(?<type>[^']*)',\s*'fortran_order':\s*(?<order>True|False),\s*"
        + @"'shape':\s*\((?<shape>[\d,\s]*)\),?\s*\}\s*$")]
    private static partial Regex Dictionary();
}

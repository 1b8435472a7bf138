using System.Buffers.Binary;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Writes a zip archive of stored records whose data begin at multiples of 64 bytes, as torch's do.</summary>
/// <remarks>PKWARE APPNOTE 6.3; caffe2/serialize/inline_container.cc pads with an extra field called FB.
/// Zip64 where sizes ask for it.</remarks>
/// <param name="stream">Empty; can seek, because a checksum is known behind its data and stands in front of them.</param>
/// <param name="wide">From this number on, lengths and positions are written with 64 bits.</param>
internal sealed class ZipRecordWriter(Stream stream, long wide = uint.MaxValue)
{
    private const int Alignment = 64;
    private const ushort EarliestDate = (1 << 5) | 1;
    private readonly List<(string Name, long Header, long Length, uint Checksum)> _records = [];

    /// <summary>Appends a record.</summary>
    /// <param name="name">Path in the archive.</param>
    /// <param name="length">Bytes of it.</param>
    /// <param name="write">Writes them.</param>
    public void Add(string name, long length, Action<Stream> write)
    {
        long header = stream.Position;
        byte[] path = Encoding.UTF8.GetBytes(name);
        byte[] sizes = length >= wide ? Extra64(length, length) : [];
        int padding = (int)(-(header + 30 + path.Length + sizes.Length + 4) & (Alignment - 1));
        var start = new byte[30 + path.Length + sizes.Length + 4 + padding];
        WriteFields(start, 0x04034b50, 4, length, path.Length, sizes.Length + 4 + padding);
        path.CopyTo(start, 30);
        sizes.CopyTo(start, 30 + path.Length);
        var pad = start.AsSpan(30 + path.Length + sizes.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(pad, 0x4246);
        BinaryPrimitives.WriteUInt16LittleEndian(pad[2..], (ushort)padding);
        pad[4..].Fill((byte)'Z');
        stream.Write(start);

        long data = stream.Position;
        var checksum = new ChecksumStream(stream);
        write(checksum);
        long end = stream.Position;
        if (end - data != length)
            throw new ArgumentException($"record '{name}': {end - data} bytes were written instead of {length}", nameof(write));
        stream.Position = header + 14;
        Span<byte> sum = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(sum, checksum.Value);
        stream.Write(sum);
        stream.Position = end;
        _records.Add((name, header, length, checksum.Value));
    }

    /// <summary>Writes the directory.</summary>
    public void Finish()
    {
        long start = stream.Position;
        foreach (var (name, header, length, checksum) in _records)
        {
            byte[] path = Encoding.UTF8.GetBytes(name);
            byte[] extra = (length >= wide, header >= wide) switch
            {
                (false, false) => [],
                (true, false) => Extra64(length, length),
                (false, true) => Extra64(header),
                _ => Extra64(length, length, header),
            };
            var entry = new byte[46 + path.Length + extra.Length];
            WriteFields(entry, 0x02014b50, 6, length, path.Length, extra.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(16), checksum);
            BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(42), Narrow(header));
            path.CopyTo(entry, 46);
            extra.CopyTo(entry, 46 + path.Length);
            stream.Write(entry);
        }
        long length64 = stream.Position - start;
        if (_records.Count >= ushort.MaxValue || start >= wide || length64 >= wide)
            WriteEnd64(start, length64);
        var end = new byte[22];
        BinaryPrimitives.WriteUInt32LittleEndian(end, 0x06054b50);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(8), (ushort)Math.Min(_records.Count, ushort.MaxValue));
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(10), (ushort)Math.Min(_records.Count, ushort.MaxValue));
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(12), Narrow(length64));
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(16), Narrow(start));
        stream.Write(end);
    }

    /// <summary>What both headers of a record share; the directory's has two bytes more in front.</summary>
    private void WriteFields(Span<byte> header, uint mark, int at, long length, int nameLength, int extraLength)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header, mark);
        BinaryPrimitives.WriteUInt16LittleEndian(header[at..], (ushort)(length >= wide ? 45 : 20));
        var fields = header[(at + 2)..];
        BinaryPrimitives.WriteUInt16LittleEndian(fields[6..], EarliestDate);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[12..], Narrow(length));
        BinaryPrimitives.WriteUInt32LittleEndian(fields[16..], Narrow(length));
        BinaryPrimitives.WriteUInt16LittleEndian(fields[20..], (ushort)nameLength);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[22..], (ushort)extraLength);
    }

    private uint Narrow(long number) => number >= wide ? uint.MaxValue : (uint)number;

    private static byte[] Extra64(params ReadOnlySpan<long> numbers)
    {
        var extra = new byte[4 + (8 * numbers.Length)];
        BinaryPrimitives.WriteUInt16LittleEndian(extra, 1);
        BinaryPrimitives.WriteUInt16LittleEndian(extra.AsSpan(2), (ushort)(8 * numbers.Length));
        for (int i = 0; i < numbers.Length; i++)
            BinaryPrimitives.WriteInt64LittleEndian(extra.AsSpan(4 + (8 * i)), numbers[i]);
        return extra;
    }

    private void WriteEnd64(long start, long length)
    {
        long position = stream.Position;
        var end = new byte[56 + 20];
        BinaryPrimitives.WriteUInt32LittleEndian(end, 0x06064b50);
        BinaryPrimitives.WriteInt64LittleEndian(end.AsSpan(4), 44);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(12), 45);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(14), 45);
        BinaryPrimitives.WriteInt64LittleEndian(end.AsSpan(24), _records.Count);
        BinaryPrimitives.WriteInt64LittleEndian(end.AsSpan(32), _records.Count);
        BinaryPrimitives.WriteInt64LittleEndian(end.AsSpan(40), length);
        BinaryPrimitives.WriteInt64LittleEndian(end.AsSpan(48), start);
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(56), 0x07064b50);
        BinaryPrimitives.WriteInt64LittleEndian(end.AsSpan(64), position);
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(72), 1);
        stream.Write(end);
    }
}

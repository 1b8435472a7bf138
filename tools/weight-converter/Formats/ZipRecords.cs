using System.Buffers.Binary;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>One record of a zip archive.</summary>
/// <param name="Name">Its path in the archive.</param>
/// <param name="Start">Where in the file its bytes begin.</param>
/// <param name="Length">Bytes of it.</param>
/// <param name="Checksum">CRC-32 of them; 0 where the writer left it out.</param>
/// <param name="Fault">Why it cannot be read, or null.</param>
internal sealed record ZipRecord(string Name, long Start, long Length, uint Checksum, string? Fault);

/// <summary>The directory of a zip archive of stored (not compressed) records, as torch writes them; zip64 included.</summary>
/// <remarks>PKWARE APPNOTE 6.3. Every record lies within the file, before the directory and apart from the others, under one name of
/// its own that both of its headers agree on.</remarks>
internal sealed class ZipRecords
{
    private const int MostRecords = 200_000;
    private const int MostDirectoryBytes = 32 << 20;
    private const int EndLength = 22;
    private const int End64Length = 56;
    private const int Locator64Length = 20;
    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, ZipRecord> _byName = new(StringComparer.Ordinal);

    private ZipRecords(string path, SafeFileHandle file)
    {
        _path = path;
        _file = file;
    }

    public IEnumerable<ZipRecord> All => _byName.Values;

    public ZipRecord? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Reads the directory and every record's own header.</summary>
    /// <exception cref="WeightsException">The archive is cut short or contradicts itself.</exception>
    public static ZipRecords Read(string path, SafeFileHandle file)
    {
        var records = new ZipRecords(path, file);
        var (start, length, count) = records.FindDirectory(RandomAccess.GetLength(file));
        records.ReadDirectory(start, length, count);
        records.CheckApart(start);
        return records;
    }

    private (long Start, long Length, long Count) FindDirectory(long fileLength)
    {
        int tail = (int)Math.Min(fileLength, EndLength + ushort.MaxValue);
        if (tail < EndLength)
            throw CutShort("it has no zip directory");
        var bytes = Bytes(fileLength - tail, tail);
        int at = tail - EndLength;
        while (at >= 0 && !(U32(bytes, at) == 0x06054b50 && at + EndLength + U16(bytes, at + 20) == tail))
            at--;
        if (at < 0)
            throw CutShort("it has no zip directory at its end");
        long end = fileLength - tail + at;
        long count = U16(bytes, at + 10), length = U32(bytes, at + 12), start = U32(bytes, at + 16);
        if (count == ushort.MaxValue || length == uint.MaxValue || start == uint.MaxValue)
            (start, length, count, end) = FindDirectory64(end);
        if (count is < 1 or > MostRecords || length < 46 * count || length > MostDirectoryBytes || start < 0 || start > end - length)
        {
            throw Fault($"its directory claims {count} records in {length} bytes at byte {start}",
                $"expected 1 to {MostRecords} records before byte {end}: {PickleFault.Damaged}");
        }
        return (start, length, count);
    }

    private (long Start, long Length, long Count, long End) FindDirectory64(long end)
    {
        if (end < Locator64Length + End64Length)
            throw CutShort("its zip64 directory is missing");
        var locator = Bytes(end - Locator64Length, Locator64Length);
        long at = I64(locator, 8);
        if (U32(locator, 0) != 0x07064b50 || at < 0 || at > end - Locator64Length - End64Length)
            throw CutShort("its zip64 directory is missing");
        var bytes = Bytes(at, End64Length);
        if (U32(bytes, 0) != 0x06064b50)
            throw CutShort("its zip64 directory is missing");
        return (I64(bytes, 48), I64(bytes, 40), I64(bytes, 32), at);
    }

    private void ReadDirectory(long start, long length, long count)
    {
        var bytes = Bytes(start, (int)length);
        int at = 0;
        for (long i = 0; i < count; i++)
        {
            if (at > bytes.Length - 46 || U32(bytes, at) != 0x02014b50)
                throw Fault($"its directory has {i} of {count} records", PickleFault.Damaged);
            int nameLength = U16(bytes, at + 28), extraLength = U16(bytes, at + 30), commentLength = U16(bytes, at + 32);
            if (at > bytes.Length - 46 - nameLength - extraLength - commentLength)
                throw Fault($"its directory ends inside record {i}", PickleFault.Damaged);
            string name = Encoding.UTF8.GetString(bytes.AsSpan(at + 46, nameLength));
            long packed = U32(bytes, at + 20), size = U32(bytes, at + 24), header = U32(bytes, at + 42);
            ReadExtra64(name, bytes.AsSpan(at + 46 + nameLength, extraLength), ref size, ref packed, ref header);
            int flags = U16(bytes, at + 8), method = U16(bytes, at + 10);
            string? fault = (flags & 1) != 0 ? "is encrypted" : method != 0 ? $"is compressed (method {method})" : null;
            if (fault is null && packed != size)
                throw Fault($"record '{name}' is stored but has {packed} bytes for {size}", PickleFault.Damaged);
            var record = new ZipRecord(name, DataStart(name, header, packed, start), packed, U32(bytes, at + 16), fault);
            if (!_byName.TryAdd(name, record))
                throw Fault($"record '{name}' occurs twice", PickleFault.Damaged);
            at += 46 + nameLength + extraLength + commentLength;
        }
    }

    /// <summary>The extra field of zip64 holds, in this order, those numbers that did not fit 32 bits.</summary>
    private void ReadExtra64(string name, ReadOnlySpan<byte> extra, ref long size, ref long packed, ref long header)
    {
        bool wanted = size == uint.MaxValue || packed == uint.MaxValue || header == uint.MaxValue;
        while (wanted && extra.Length >= 4)
        {
            int id = BinaryPrimitives.ReadUInt16LittleEndian(extra), length = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            if (length > extra.Length - 4)
                break;
            var field = extra.Slice(4, length);
            extra = extra[(4 + length)..];
            if (id != 1)
                continue;
            if (Take(ref size, ref field) && Take(ref packed, ref field) && Take(ref header, ref field))
                return;
            break;
        }
        if (wanted)
            throw Fault($"record '{name}' lacks its zip64 sizes", PickleFault.Damaged);

        static bool Take(ref long value, ref ReadOnlySpan<byte> field)
        {
            if (value != uint.MaxValue)
                return true;
            if (field.Length < 8)
                return false;
            value = BinaryPrimitives.ReadInt64LittleEndian(field);
            field = field[8..];
            return true;
        }
    }

    private long DataStart(string name, long header, long length, long limit)
    {
        if (header < 0 || length < 0 || header > limit - 30)
            throw Fault($"record '{name}' claims {length} bytes at byte {header}", PickleFault.Damaged);
        var bytes = Bytes(header, 30);
        int nameLength = U16(bytes, 26);
        long start = header + 30 + nameLength + U16(bytes, 28);
        if (U32(bytes, 0) != 0x04034b50 || start > limit - length)
            throw Fault($"record '{name}' claims {length} bytes at byte {start}, beyond byte {limit}", PickleFault.Damaged);
        if (Encoding.UTF8.GetString(Bytes(header + 30, nameLength)) != name)
            throw Fault($"record '{name}' has another name in front of its data", PickleFault.Damaged);
        return start;
    }

    private void CheckApart(long directory)
    {
        ZipRecord? before = null;
        foreach (var record in _byName.Values.OrderBy(record => record.Start).ThenBy(record => record.Length))
        {
            if (before is not null && record.Start < before.Start + before.Length)
                throw Fault($"records '{before.Name}' and '{record.Name}' overlap", PickleFault.Damaged);
            before = record;
        }
        if (before!.Start + before.Length > directory)
            throw Fault($"record '{before.Name}' reaches into the directory", PickleFault.Damaged);
    }

    private byte[] Bytes(long position, int count)
    {
        var bytes = new byte[count];
        FileBytes.Read(_path, _file, bytes, position);
        return bytes;
    }

    private static int U16(byte[] bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));

    private static uint U32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    private static long I64(byte[] bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at));

    private WeightsException CutShort(string got) => Fault(got, "the file is cut short: fetch or copy it again");

    private WeightsException Fault(string got, string wanted) => new(_path, null, got, wanted);
}

using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Diffusion.Gpu.Training;

/// <summary>Vectors of features on the disk, in the order of their images, so that an evaluation that was cut off goes on.</summary>
/// <remarks>A line that names the format, a line with the key, then per image: its index, the vector, the index again, inverted; all
/// little-endian. What follows the last whole record is what a cut-off write left, and is dropped.</remarks>
internal sealed class FeatureFile : IFeatureRows, IDisposable
{
    private const string Format = "diffusion.gpu features 1";
    private const int Marks = 2 * sizeof(uint);
    private readonly FileStream _stream;
    private readonly long _start;
    private readonly byte[] _record;

    private FeatureFile(FileStream stream, long start, int length, int count)
    {
        _stream = stream;
        _start = start;
        _record = new byte[Marks + (length * sizeof(float))];
        Length = length;
        Count = count;
    }

    public int Count { get; private set; }

    public int Length { get; }

    /// <summary>Opens the file of a key, or begins one.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">One line that names everything the vectors depend on.</param>
    /// <param name="length">Numbers in a vector.</param>
    /// <param name="discarded">Whether the file held vectors of another key, which are gone.</param>
    /// <exception cref="IOException">The file cannot be read or written.</exception>
    public static FeatureFile Open(string path, string key, int length, out bool discarded)
    {
        byte[] header = Encoding.UTF8.GetBytes($"{Format}\n{key}; {length} numbers\n");
        FileStream stream;
        try
        {
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, 1 << 16);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new IOException($"{path}: cannot be written ({error.Message.TrimEnd('.')}); choose a folder that you may write to",
                error);
        }
        try
        {
            var found = new byte[header.Length];
            bool isOurs = stream.ReadAtLeast(found, found.Length, throwOnEndOfStream: false) == found.Length
                && found.AsSpan().SequenceEqual(header);
            discarded = !isOurs && stream.Length > 0;
            if (!isOurs)
            {
                stream.SetLength(0);
                stream.Write(header);
            }
            var file = new FeatureFile(stream, header.Length, length, 0);
            file.Count = isOurs ? file.CountWhole() : 0;
            stream.SetLength(file.PositionOf(file.Count));
            return file;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Appends vectors and has them written to the disk.</summary>
    /// <param name="rows">[any number, <see cref="Length"/>].</param>
    public void Append(ReadOnlySpan<float> rows)
    {
        int count = rows.Length / Length;
        try
        {
            _stream.Position = PositionOf(Count);
            for (int i = 0; i < count; i++)
            {
                Mark(_record, Count + i);
                MemoryMarshal.AsBytes(rows.Slice(i * Length, Length)).CopyTo(_record.AsSpan(sizeof(uint)));
                _stream.Write(_record);
            }
            _stream.Flush(flushToDisk: true);
        }
        catch (IOException error)
        {
            throw new IOException($"{_stream.Name}: cannot be written ({error.Message.TrimEnd('.')}); {Count} images' features are kept: "
                + "free disk space and resume", error);
        }
        Count += count;
    }

    public void Read(int first, Span<float> rows)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first + (rows.Length / Length), Count, nameof(first));
        _stream.Position = PositionOf(first);
        for (int at = 0; at < rows.Length; at += Length)
        {
            _stream.ReadExactly(_record);
            _record.AsSpan(sizeof(uint), Length * sizeof(float)).CopyTo(MemoryMarshal.AsBytes(rows.Slice(at, Length)));
        }
    }

    public void Dispose() => _stream.Dispose();

    private static void Mark(Span<byte> record, int index)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(record, (uint)index);
        BinaryPrimitives.WriteUInt32LittleEndian(record[^sizeof(uint)..], ~(uint)index);
    }

    private long PositionOf(int index) => _start + ((long)index * _record.Length);

    private int CountWhole()
    {
        Span<byte> marks = new byte[Marks];
        int count = 0;
        _stream.Position = _start;
        while (_stream.ReadAtLeast(_record, _record.Length, throwOnEndOfStream: false) == _record.Length)
        {
            Mark(marks, count);
            if (!_record.AsSpan(0, sizeof(uint)).SequenceEqual(marks[..sizeof(uint)])
                || !_record.AsSpan(_record.Length - sizeof(uint)).SequenceEqual(marks[sizeof(uint)..]))
                break;
            count++;
        }
        return count;
    }
}

/// <summary>Vectors of features in memory.</summary>
internal sealed class FeatureRows(float[] values, int length) : IFeatureRows
{
    public int Count => values.Length / length;

    public int Length => length;

    public void Read(int first, Span<float> rows) => values.AsSpan(first * length, rows.Length).CopyTo(rows);
}

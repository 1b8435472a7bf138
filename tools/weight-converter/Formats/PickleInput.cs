using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A part of a file that a pickle is read from, byte after byte; nothing beyond the part can be read.</summary>
/// <param name="path">The file, for messages.</param>
/// <param name="record">Name of the part, for messages; null for the file itself.</param>
/// <param name="file">The open file.</param>
/// <param name="start">Where the part begins.</param>
/// <param name="length">Bytes of the part.</param>
internal sealed class PickleInput(string path, string? record, SafeFileHandle file, long start, long length)
{
    private readonly byte[] _block = new byte[(int)Math.Min(1 << 16, length)];
    private int _at;
    private int _filled;
    private long _blockStart;

    /// <summary>Bytes read so far.</summary>
    public long Position => _blockStart + _at;

    /// <summary>Where in the file the next byte lies.</summary>
    public long FilePosition => start + Position;

    private long Remaining => length - Position;

    public byte ReadByte()
    {
        if (_at == _filled)
            Refill();
        return _block[_at++];
    }

    /// <summary>Reads some bytes; the span is valid until the next call.</summary>
    /// <exception cref="PickleFault">The part ends before.</exception>
    public ReadOnlySpan<byte> Read(long count)
    {
        if (count < 0 || count > Remaining)
            throw new PickleFault($"{count} bytes are announced but {Remaining} follow", PickleFault.Damaged);
        if (count <= _filled - _at)
        {
            _at += (int)count;
            return _block.AsSpan(_at - (int)count, (int)count);
        }
        var bytes = new byte[count];
        int done = _filled - _at;
        _block.AsSpan(_at, done).CopyTo(bytes);
        FileBytes.Read(path, file, bytes.AsSpan(done), FilePosition + done);
        _blockStart += _at + count;
        _at = _filled = 0;
        return bytes;
    }

    /// <summary>Reads up to the end of a line, which is not returned.</summary>
    public string ReadLine(int longest)
    {
        var text = new System.Text.StringBuilder();
        for (byte letter = ReadByte(); letter != '\n'; letter = ReadByte())
        {
            if (letter is < 32 or > 126 || text.Length == longest)
                throw new PickleFault("a name that is no name", PickleFault.Damaged);
            text.Append((char)letter);
        }
        return text.ToString();
    }

    /// <summary>Describes a fault with its place.</summary>
    public WeightsException Fault(string opcode, long position, string got, string wanted, Exception? cause = null)
        => new(path, null, $"{(record is null ? "" : $"record '{record}': ")}{got} (opcode {opcode} at byte {position})", wanted, cause);

    private void Refill()
    {
        _blockStart += _at;
        _at = _filled = 0;
        if (Remaining <= 0)
            throw new PickleFault("the pickle ends before its STOP", "the file is cut short: fetch or copy it again");
        int count = (int)Math.Min(_block.Length, Remaining);
        FileBytes.Read(path, file, _block.AsSpan(0, count), FilePosition);
        _filled = count;
    }
}

/// <summary>Positioned reads that are whole or fail.</summary>
internal static class FileBytes
{
    /// <exception cref="WeightsException">The file ends before.</exception>
    public static void Read(string path, SafeFileHandle file, Span<byte> destination, long position)
    {
        while (destination.Length > 0)
        {
            int read = RandomAccess.Read(file, destination, position);
            if (read == 0)
            {
                throw new WeightsException(path, null, $"the file ended at byte {position}",
                    "it was cut short while it was being read: fetch or copy it again");
            }
            destination = destination[read..];
            position += read;
        }
    }
}

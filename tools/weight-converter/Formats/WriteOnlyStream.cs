using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A stream that passes on what is written to it.</summary>
internal abstract class WriteOnlyStream(Stream destination) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => destination.Length;

    /// <summary>Of the stream behind this one.</summary>
    public override long Position
    {
        get => destination.Position;
        set => throw new NotSupportedException();
    }

    protected Stream Destination => destination;

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public abstract override void Write(ReadOnlySpan<byte> buffer);

    public override void Flush() => destination.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}

/// <summary>Sums up what passes.</summary>
internal sealed class ChecksumStream(Stream destination) : WriteOnlyStream(destination)
{
    /// <summary>CRC-32 of everything written so far.</summary>
    public uint Value { get; private set; }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        Value = Crc32.Compute(buffer, Value);
        Destination.Write(buffer);
    }
}

/// <summary>Floats of one type arrive as another: rounded once, to nearest even.</summary>
/// <param name="destination">Receives the rounded elements.</param>
/// <param name="from">Type of what is written: whole elements at a time.</param>
/// <param name="to">Type of what arrives.</param>
internal sealed class FloatRounding(Stream destination, ElementType from, ElementType to) : WriteOnlyStream(destination)
{
    private const int Elements = 1 << 14;
    private readonly byte[] _rounded = new byte[Elements * to.Size()];

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (from == to)
        {
            Destination.Write(buffer);
            return;
        }
        for (int size = from.Size(); buffer.Length > 0;)
        {
            int count = Math.Min(Elements, buffer.Length / size);
            var rounded = _rounded.AsSpan(0, count * to.Size());
            ElementTypes.Round(from, buffer[..(count * size)], to, rounded);
            Destination.Write(rounded);
            buffer = buffer[(count * size)..];
        }
    }
}

/// <summary>Tells how much has passed, and stops where it is told to.</summary>
internal sealed class WatchedStream(Stream destination, Action<long> passed, CancellationToken cancellation) : WriteOnlyStream(destination)
{
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        cancellation.ThrowIfCancellationRequested();
        Destination.Write(buffer);
        passed(buffer.Length);
    }
}

using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>A tensor about to be written: its description and a way to fetch its elements when their turn comes.</summary>
/// <remarks>The callback forms let a checkpoint be written while only one tensor at a time is on the host.</remarks>
public sealed class TensorSource
{
    private readonly Action<Stream> write;

    private TensorSource(string name, ElementType type, int[] shape, Action<TensorSource, Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        foreach (int size in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(shape));
        }

        long bytes = TensorEntry.Bytes(type, shape)
            ?? throw new ArgumentException($"tensor '{name}': the shape is too large", nameof(shape));
        Entry = new TensorEntry(name, type, [.. shape], bytes);
        this.write = stream => write(this, stream);
    }

    /// <summary>Name, type and shape.</summary>
    public TensorEntry Entry { get; }

    /// <summary>A tensor of 32-bit floats.</summary>
    /// <param name="name">Unique within the file.</param>
    /// <param name="shape">Sizes, outermost first.</param>
    /// <param name="values">The elements, row-major.</param>
    public static TensorSource Singles(string name, int[] shape, ReadOnlyMemory<float> values) => Singles(name, shape, () => values);

    /// <summary>A tensor of 32-bit floats, fetched when it is written.</summary>
    /// <param name="name">Unique within the file.</param>
    /// <param name="shape">Sizes, outermost first.</param>
    /// <param name="fetch">Returns the elements, row-major; called once.</param>
    public static TensorSource Singles(string name, int[] shape, Func<ReadOnlyMemory<float>> fetch) =>
        new(name, ElementType.F32, shape, (source, stream) => source.Write(stream, fetch().Span));

    /// <summary>A tensor of 64-bit floats.</summary>
    /// <param name="name">Unique within the file.</param>
    /// <param name="shape">Sizes, outermost first.</param>
    /// <param name="values">The elements, row-major.</param>
    public static TensorSource Doubles(string name, int[] shape, ReadOnlyMemory<double> values) =>
        new(name, ElementType.F64, shape, (source, stream) => source.Write(stream, values.Span));

    /// <summary>A tensor of 64-bit integers.</summary>
    /// <param name="name">Unique within the file.</param>
    /// <param name="shape">Sizes, outermost first.</param>
    /// <param name="values">The elements, row-major.</param>
    public static TensorSource Integers(string name, int[] shape, ReadOnlyMemory<long> values) =>
        new(name, ElementType.I64, shape, (source, stream) => source.Write(stream, values.Span));

    /// <summary>A tensor of elements that are already in the file's representation.</summary>
    /// <param name="name">Unique within the file.</param>
    /// <param name="type">Type of the elements.</param>
    /// <param name="shape">Sizes, outermost first.</param>
    /// <param name="values">The elements' little-endian bytes, row-major.</param>
    public static TensorSource Bytes(string name, ElementType type, int[] shape, ReadOnlyMemory<byte> values) =>
        new(name, type, shape, (source, stream) => source.Write(stream, values.Span, type.Size()));

    /// <summary>A tensor whose elements are written piece by piece, so that not even one tensor has to fit memory.</summary>
    /// <param name="name">Unique within the file.</param>
    /// <param name="type">Type of the elements.</param>
    /// <param name="shape">Sizes, outermost first.</param>
    /// <param name="write">Writes the elements' little-endian bytes, row-major and exactly as many as the shape takes.</param>
    public static TensorSource Streamed(string name, ElementType type, int[] shape, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        return new(name, type, shape, (source, stream) =>
        {
            long start = stream.Position;
            write(stream);
            if (stream.Position - start != source.Entry.ByteLength)
            {
                throw new ArgumentException($"tensor '{name}': {stream.Position - start} bytes were written, "
                    + $"{type} [{string.Join(", ", shape)}] takes {source.Entry.ByteLength}", nameof(write));
            }
        });
    }

    /// <summary>The same elements under another name.</summary>
    /// <param name="name">Unique within the file.</param>
    public TensorSource Named(string name) => Streamed(name, Entry.Type, [.. Entry.Shape], Write);

    /// <summary>Writes the elements, little-endian and row-major.</summary>
    /// <param name="stream">Where to; must know its position.</param>
    /// <exception cref="ArgumentException">The number of elements differs from the shape's.</exception>
    public void Write(Stream stream) => write(stream);

    private void Write<T>(Stream stream, ReadOnlySpan<T> values, int unitsPerElement = 1)
        where T : unmanaged
    {
        if (values.Length != Entry.Count * unitsPerElement)
        {
            throw new ArgumentException(
                $"tensor '{Entry.Name}': {values.Length / unitsPerElement} elements given, "
                + $"shape [{string.Join(", ", Entry.Shape)}] has {Entry.Count}", nameof(values));
        }

        // In blocks, because the byte length of one span stops at 2 GiB.
        const int Block = 1 << 20;
        for (; values.Length > Block; values = values[Block..])
        {
            stream.Write(MemoryMarshal.AsBytes(values[..Block]));
        }

        stream.Write(MemoryMarshal.AsBytes(values));
    }
}

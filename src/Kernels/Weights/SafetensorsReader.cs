using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>Reads tensors by name from a safetensors file; nothing the file says about itself is taken on trust.</summary>
/// <remarks>Reading is safe from several threads at once. Format: github.com/huggingface/safetensors, README.</remarks>
public sealed class SafetensorsReader : IDisposable
{
    private readonly string path;
    private readonly SafeFileHandle file;
    private readonly SafetensorsHeader header;
    private readonly long dataStart;
    private readonly Dictionary<string, (TensorEntry Entry, long Offset)> byName = new(StringComparer.Ordinal);

    private SafetensorsReader(string path, SafeFileHandle file)
    {
        this.path = path;
        this.file = file;
        long fileLength = RandomAccess.GetLength(file);
        if (fileLength < 8)
        {
            throw new WeightsException(path, null, $"the file has {fileLength} bytes",
                "a safetensors file has at least 8: fetch or copy it again");
        }

        Span<byte> prefix = stackalloc byte[8];
        ReadFully(prefix, 0, null);
        var json = new byte[SafetensorsHeader.CheckedLength(path, BinaryPrimitives.ReadUInt64LittleEndian(prefix), fileLength)];
        ReadFully(json, 8, null);
        dataStart = 8 + json.Length;
        header = SafetensorsHeader.Parse(path, json, fileLength - dataStart);
        foreach (var tensor in header.Tensors)
        {
            byName.Add(tensor.Entry.Name, tensor);
        }

        Entries = [.. header.Tensors.Select(tensor => tensor.Entry)];
    }

    /// <summary>The file's free-form key-value pairs.</summary>
    public IReadOnlyDictionary<string, string> Metadata => header.Metadata;

    /// <summary>Every tensor in the order of the data.</summary>
    public IReadOnlyList<TensorEntry> Entries { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="WeightsException">The file is missing, unreadable, cut short or malformed.</exception>
    public static SafetensorsReader Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeFileHandle file;
        try
        {
            file = File.OpenHandle(path, options: FileOptions.RandomAccess);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new WeightsException(path, null, $"cannot be opened ({error.Message.TrimEnd('.')})",
                "check the path and that you may read the file", error);
        }

        try
        {
            return new SafetensorsReader(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>True when the file has a tensor of that name.</summary>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>Name, type and shape of one tensor.</summary>
    /// <exception cref="WeightsException">The file has no such tensor.</exception>
    public TensorEntry Entry(string name) => Find(name).Entry;

    /// <summary>Reads a tensor of floats, converted to 32 bits (exact but for F64, which is rounded).</summary>
    /// <exception cref="WeightsException">The tensor is missing or does not hold floats.</exception>
    public float[] ReadSingles(string name)
    {
        var values = new float[ArrayLength(Find(name).Entry)];
        ReadSingles(name, values);
        return values;
    }

    /// <summary>Reads a tensor of floats into memory of the caller's.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Exactly as long as the tensor.</param>
    /// <exception cref="WeightsException">The tensor is missing, does not hold floats or is of another length.</exception>
    public void ReadSingles(string name, Span<float> destination)
    {
        var (entry, offset) = FindFloats(name);
        if (destination.Length != entry.Count)
        {
            throw new WeightsException(path, name, $"[{string.Join(", ", entry.Shape)}] has {entry.Count} elements",
                $"expected {destination.Length}");
        }

        if (entry.Type == ElementType.F32 && BitConverter.IsLittleEndian)
        {
            // Straight into place; in blocks, because the byte length of one span stops at 2 GiB.
            const int Block = 1 << 24;
            for (int done = 0; done < destination.Length; done += Block)
            {
                var block = destination[done..Math.Min(destination.Length, done + Block)];
                ReadFully(MemoryMarshal.AsBytes(block), dataStart + offset + (4L * done), name);
            }

            return;
        }

        Convert(entry, offset, destination, ElementTypes.ToSingles);
    }

    /// <summary>Reads a tensor of floats, widened to 64 bits.</summary>
    /// <exception cref="WeightsException">The tensor is missing or does not hold floats.</exception>
    public double[] ReadDoubles(string name)
    {
        var (entry, offset) = FindFloats(name);
        var values = new double[ArrayLength(entry)];
        Convert(entry, offset, values, ElementTypes.ToDoubles);
        return values;
    }

    /// <summary>Reads a tensor of integers or booleans.</summary>
    /// <exception cref="WeightsException">The tensor is missing, holds floats or a value beyond 63 bits.</exception>
    public long[] ReadIntegers(string name)
    {
        var (entry, offset) = Find(name);
        if (entry.Type.IsFloat())
        {
            throw new WeightsException(path, name, $"holds {entry.Type}", "expected integers");
        }

        var values = new long[ArrayLength(entry)];
        try
        {
            Convert(entry, offset, values, ElementTypes.ToIntegers);
        }
        catch (OverflowException error)
        {
            throw new WeightsException(path, name, "holds an integer of 2^63 or more", "expected values below that", error);
        }

        return values;
    }

    /// <summary>Reads a tensor's stored bytes, whatever its type.</summary>
    /// <exception cref="WeightsException">The tensor is missing.</exception>
    public byte[] ReadBytes(string name)
    {
        var (entry, offset) = Find(name);
        var values = new byte[ArrayLength(entry, entry.ByteLength)];
        ReadFully(values, dataStart + offset, name);
        return values;
    }

    /// <summary>Copies a tensor's stored bytes in blocks, whatever its type and size.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Receives the little-endian bytes, row-major.</param>
    /// <exception cref="WeightsException">The tensor is missing.</exception>
    public void CopyTo(string name, Stream destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var (entry, offset) = Find(name);
        var block = new byte[Math.Min(1 << 20, entry.ByteLength)];
        for (long done = 0; done < entry.ByteLength;)
        {
            var part = block.AsSpan(0, (int)Math.Min(block.Length, entry.ByteLength - done));
            ReadFully(part, dataStart + offset + done, name);
            destination.Write(part);
            done += part.Length;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => file.Dispose();

    private void Convert<T>(TensorEntry entry, long offset, Span<T> destination, ElementConversion<T> conversion)
    {
        int size = entry.Type.Size();
        var bytes = new byte[Math.Min(1 << 16, entry.ByteLength)];
        for (int done = 0; done < destination.Length;)
        {
            int count = Math.Min(destination.Length - done, bytes.Length / size);
            var block = bytes.AsSpan(0, count * size);
            ReadFully(block, dataStart + offset + ((long)done * size), entry.Name);
            conversion(entry.Type, block, destination.Slice(done, count));
            done += count;
        }
    }

    private void ReadFully(Span<byte> destination, long position, string? tensor)
    {
        while (destination.Length > 0)
        {
            int read = RandomAccess.Read(file, destination, position);
            if (read == 0)
            {
                throw new WeightsException(path, tensor, $"the file ended at byte {position}",
                    "it was cut short while it was being read: fetch or copy it again");
            }

            destination = destination[read..];
            position += read;
        }
    }

    private (TensorEntry Entry, long Offset) Find(string name) => byName.TryGetValue(name, out var tensor)
        ? tensor
        : throw new WeightsException(path, name, "is not in the file", $"the file has {byName.Count} tensors of other names");

    private (TensorEntry Entry, long Offset) FindFloats(string name)
    {
        var tensor = Find(name);
        return tensor.Entry.Type.IsFloat()
            ? tensor
            : throw new WeightsException(path, name, $"holds {tensor.Entry.Type}", "expected F64, F32, F16 or BF16");
    }

    private int ArrayLength(TensorEntry entry) => ArrayLength(entry, entry.Count);

    private int ArrayLength(TensorEntry entry, long length) => length <= Array.MaxLength
        ? (int)length
        : throw new WeightsException(path, entry.Name, $"has {length} elements", $"one array holds at most {Array.MaxLength}");
}

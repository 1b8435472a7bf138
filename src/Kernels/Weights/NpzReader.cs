using System.IO.Compression;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>Reads arrays by name from a .npz file (a zip archive of .npy arrays); pickled objects are refused.</summary>
/// <remarks>Reading is safe from several threads at once. Column-major arrays come out row-major.</remarks>
public sealed class NpzReader : IDisposable
{
    /// <summary>Deflate shrinks at most 1032 to 1; an entry that claims more lies about its length.</summary>
    private const long LargestRatio = 1032;

    private readonly string path;
    private readonly ZipArchive archive;
    private readonly Lock reading = new();
    private readonly Dictionary<string, (ZipArchiveEntry File, NpyHeader Header, TensorEntry Entry)> byName = new(StringComparer.Ordinal);

    private NpzReader(string path, ZipArchive archive, long fileLength)
    {
        this.path = path;
        this.archive = archive;
        foreach (var file in archive.Entries.Where(file => file.FullName.EndsWith(".npy", StringComparison.Ordinal)))
        {
            string name = file.FullName[..^4];
            bool impossible = file.CompressedLength > fileLength || file.Length > (file.CompressedLength * LargestRatio) + 64;
            if (impossible)
            {
                throw Fault(name, $"claims {file.Length} bytes compressed to {file.CompressedLength}",
                    "the file is damaged: fetch or copy it again");
            }

            using var stream = file.Open();
            var header = NpyHeader.Read(stream, (got, wanted) => Fault(name, got, wanted), out int headerLength);
            if (header.ByteLength is not long bytes || bytes != file.Length - headerLength)
            {
                throw Fault(name, $"{header.Type} [{string.Join(", ", header.Shape)}] does not fill its {file.Length - headerLength} bytes",
                    "the file is damaged: fetch or copy it again");
            }

            if (!byName.TryAdd(name, (file, header, new TensorEntry(name, header.Type, header.Shape, bytes))))
            {
                throw Fault(name, "occurs twice", "names must be unique: save the file again");
            }
        }

        Entries = [.. byName.Values.Select(array => array.Entry)];
        if (Entries.Count == 0)
        {
            throw Fault(null, $"holds {archive.Entries.Count} files but no .npy array", "expected an archive written by numpy.savez");
        }
    }

    /// <summary>Every array, in the order of the archive.</summary>
    public IReadOnlyList<TensorEntry> Entries { get; }

    /// <summary>Opens a file and checks every array's header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="WeightsException">The file is missing, no zip archive, or holds something other than plain arrays.</exception>
    public static NpzReader Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            return new NpzReader(path, new ZipArchive(stream, ZipArchiveMode.Read), stream.Length);
        }
        catch (Exception error)
        {
            stream?.Dispose();
            throw error switch
            {
                InvalidDataException => new WeightsException(path, null, $"is no intact zip archive ({error.Message.TrimEnd('.')})",
                    "a .npz file is one: fetch or copy it again", error),
                UnauthorizedAccessException or IOException and not WeightsException => new WeightsException(path, null,
                    $"cannot be opened ({error.Message.TrimEnd('.')})", "check the path and that you may read the file", error),
                _ => error,
            };
        }
    }

    /// <summary>True when the file has an array of that name.</summary>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>Name, type and shape of one array.</summary>
    /// <exception cref="WeightsException">The file has no such array.</exception>
    public TensorEntry Entry(string name) => Find(name).Entry;

    /// <summary>Reads an array of floats, widened to 64 bits.</summary>
    /// <exception cref="WeightsException">The array is missing, damaged or does not hold floats.</exception>
    public double[] ReadDoubles(string name) => Read<double>(name, floats: true, ElementTypes.ToDoubles);

    /// <summary>Reads an array of floats, converted to 32 bits (exact but for F64, which is rounded).</summary>
    /// <exception cref="WeightsException">The array is missing, damaged or does not hold floats.</exception>
    public float[] ReadSingles(string name) => Read<float>(name, floats: true, ElementTypes.ToSingles);

    /// <summary>Reads an array of integers or booleans.</summary>
    /// <exception cref="WeightsException">The array is missing, damaged, holds floats or a value beyond 63 bits.</exception>
    public long[] ReadIntegers(string name) => Read<long>(name, floats: false, ElementTypes.ToIntegers);

    /// <summary>Closes the file.</summary>
    public void Dispose() => archive.Dispose();

    private T[] Read<T>(string name, bool floats, ElementConversion<T> conversion)
    {
        var (file, header, entry) = Find(name);
        if (entry.Type.IsFloat() != floats)
        {
            throw Fault(name, $"holds {entry.Type}", floats ? "expected floats" : "expected integers");
        }

        if (file.Length > Array.MaxLength)
        {
            throw Fault(name, $"has {entry.ByteLength} bytes", $"at most {Array.MaxLength} are supported");
        }

        var bytes = new byte[file.Length];
        var values = new T[entry.Count];
        try
        {
            // The archive has one position in one stream.
            lock (reading)
            {
                using var stream = file.Open();
                stream.ReadExactly(bytes);
            }

            if (Crc32.Compute(bytes) != file.Crc32)
            {
                throw Fault(name, "its checksum is wrong", "the file is damaged: fetch or copy it again");
            }

            conversion(header.Type, bytes.AsSpan((int)(file.Length - entry.ByteLength)), values);
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException)
        {
            throw new WeightsException(path, name, "its compressed data is damaged", "fetch or copy the file again", error);
        }
        catch (OverflowException error)
        {
            throw new WeightsException(path, name, "holds an integer of 2^63 or more", "expected values below that", error);
        }

        return header.ColumnMajor ? RowMajor(values, header.Shape) : values;
    }

    private static T[] RowMajor<T>(T[] columnMajor, int[] shape)
    {
        var result = new T[columnMajor.Length];
        var index = new int[shape.Length];
        for (int target = 0; target < result.Length; target++)
        {
            int source = 0;
            for (int axis = shape.Length - 1; axis >= 0; axis--)
            {
                source = (source * shape[axis]) + index[axis];
            }

            result[target] = columnMajor[source];
            for (int axis = shape.Length - 1; axis >= 0 && ++index[axis] == shape[axis]; axis--)
            {
                index[axis] = 0;
            }
        }

        return result;
    }

    private (ZipArchiveEntry File, NpyHeader Header, TensorEntry Entry) Find(string name) => byName.TryGetValue(name, out var array)
        ? array
        : throw Fault(name, "is not in the file", $"the file has {string.Join(", ", byName.Keys.Take(8))}");

    private WeightsException Fault(string? name, string got, string wanted) => new(path, name, got, wanted);
}

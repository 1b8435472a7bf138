using System.IO.Compression;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>Writes .npz files that numpy.load reads, whole or not at all.</summary>
public static class NpzWriter
{
    /// <summary>Every entry carries this time, so that the same arrays give the same bytes; zip counts from 1980.</summary>
    private static readonly DateTimeOffset Epoch = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Writes a file beside the target first, then renames it over.</summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="arrays">F64, F32, I64 and U8 arrays.</param>
    /// <exception cref="ArgumentException">Two arrays share a name, the type is another, or the elements do not fill the shape.</exception>
    /// <exception cref="IOException">The file cannot be written; the previous one is untouched.</exception>
    public static void Write(string path, IEnumerable<TensorSource> arrays)
    {
        ArgumentNullException.ThrowIfNull(arrays);
        AtomicFile.Write(path, file =>
        {
            var names = new HashSet<string>(StringComparer.Ordinal);
            using var archive = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true);
            foreach (var array in arrays)
            {
                if (!names.Add(array.Entry.Name))
                {
                    throw new ArgumentException($"two arrays are called '{array.Entry.Name}'", nameof(arrays));
                }

                var header = new NpyHeader(array.Entry.Type, [.. array.Entry.Shape], ColumnMajor: false).ToBytes();
                var entry = archive.CreateEntry(array.Entry.Name + ".npy", CompressionLevel.Fastest);
                entry.LastWriteTime = Epoch;
                using var stream = entry.Open();
                stream.Write(header);
                array.Write(stream);
            }
        });
    }
}

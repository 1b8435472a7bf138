using System.Globalization;
using System.IO.Compression;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>A zip archive of images; threads take turns reading, decoding is left to them.</summary>
internal sealed class ZipImageFolder : ImageFolder
{
    private readonly ZipArchive archive;
    private readonly Dictionary<string, ZipArchiveEntry> entries = new(StringComparer.Ordinal);
    private readonly Lock reading = new();

    private ZipImageFolder(string path, ZipArchive archive, IImageCodec codec)
        : base(path, archive.Entries.Select(entry => entry.FullName).Distinct(StringComparer.Ordinal), codec)
    {
        this.archive = archive;
        foreach (var entry in archive.Entries)
        {
            entries[entry.FullName] = entry;
        }
    }

    /// <summary>Opens an archive and lists it.</summary>
    public static new ZipImageFolder Open(string path, IImageCodec codec)
    {
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 14);
            return new ZipImageFolder(path, new ZipArchive(stream, ZipArchiveMode.Read), codec);
        }
        catch (Exception error)
        {
            stream?.Dispose();
            throw error is InvalidDataException
                ? new ImageFormatException(path, $"is no intact zip archive ({error.Message.TrimEnd('.')})",
                    "name a folder or a .zip archive of images", error)
                : error;
        }
    }

    public override void Dispose() => archive.Dispose();

    private protected override string Stamp(string name)
        => string.Create(CultureInfo.InvariantCulture, $"{entries[name].Length} {entries[name].Crc32:x8}");

    private protected override byte[] Read(string name)
    {
        var entry = entries[name];
        string file = $"{Path}/{name}";
        if (entry.Length > Array.MaxLength || entry.Length > (entry.CompressedLength + 64) * 1032)
        {
            throw ImageFormatException.Damaged(file, $"claims {entry.Length} bytes compressed to {entry.CompressedLength}");
        }

        var bytes = new byte[entry.Length];
        try
        {
            lock (reading)
            {
                using var stream = entry.Open();
                stream.ReadExactly(bytes);
            }
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException)
        {
            throw ImageFormatException.Damaged(file, "its data in the archive is damaged", error);
        }

        return Crc32.Compute(bytes) == entry.Crc32
            ? bytes
            : throw ImageFormatException.Damaged(file, "its checksum in the archive is wrong");
    }
}

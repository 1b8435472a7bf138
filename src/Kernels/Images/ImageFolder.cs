using System.Globalization;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>The images of a folder and the folders below it, or of a zip archive, in a fixed order.</summary>
/// <remarks>Reading is safe from several threads at once.</remarks>
public abstract class ImageFolder : IDisposable
{
    private readonly string[] names;
    private readonly IImageCodec codec;

    private protected ImageFolder(string path, IEnumerable<string> names, IImageCodec codec)
    {
        Path = path;
        this.codec = codec;
        this.names = [.. names.Where(IsImage)];
        if (this.names.Length == 0)
        {
            throw new ImageFormatException(path, "holds no images",
                $"looked in it and below for {string.Join(", ", codec.Extensions)}: check the path or convert the images");
        }

        Array.Sort(this.names, StringComparer.Ordinal);
    }

    /// <summary>The folder or archive.</summary>
    public string Path { get; }

    /// <summary>Number of images.</summary>
    public int Count => names.Length;

    /// <summary>Lists the images of a folder (with those below it) or of a .zip archive, sorted by name.</summary>
    /// <param name="path">The folder or archive.</param>
    /// <param name="codec">Decodes the images and says which extensions to look for; <see cref="ImageCodec.Default"/> if null.</param>
    /// <exception cref="ImageFormatException">The path is missing, no archive, or holds no images.</exception>
    /// <remarks>Extensions are compared without regard to case. Names that begin with a dot are passed over.</remarks>
    public static ImageFolder Open(string path, IImageCodec? codec = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        codec ??= ImageCodec.Default;
        return Directory.Exists(path) ? new FileImageFolder(path, codec)
            : File.Exists(path) ? ZipImageFolder.Open(path, codec)
            : throw new ImageFormatException(path, "there is no such folder or archive", "check the path");
    }

    /// <summary>Path of an image below the folder, with forward slashes.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    public string Name(int index) => names[index];

    /// <summary>Tells contents of an image's file apart without reading it: length and checksum, or length and time of change.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    public string Stamp(int index) => Stamp(names[index]);

    /// <summary>Reads an image's file.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public byte[] Read(int index) => Read(names[index]);

    /// <summary>Reads and decodes an image.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    /// <exception cref="ImageFormatException">The file is no intact image; the message names it.</exception>
    public PixelImage Load(int index) => codec.Decode($"{Path}/{names[index]}", Read(index));

    /// <summary>Closes the archive, if it is one.</summary>
    public abstract void Dispose();

    private protected abstract byte[] Read(string name);

    private protected abstract string Stamp(string name);

    private bool IsImage(string name)
    {
        string file = name[(name.LastIndexOf('/') + 1)..];
        return !file.StartsWith('.') && codec.Extensions.Any(extension => file.EndsWith(extension, StringComparison.OrdinalIgnoreCase));
    }
}

/// <summary>A folder on the disk.</summary>
internal sealed class FileImageFolder(string path, IImageCodec codec) : ImageFolder(path, List(path), codec)
{
    public override void Dispose()
    {
    }

    private protected override byte[] Read(string name) => File.ReadAllBytes(System.IO.Path.Combine(Path, name));

    private protected override string Stamp(string name)
    {
        var file = new FileInfo(System.IO.Path.Combine(Path, name));
        return string.Create(CultureInfo.InvariantCulture, $"{file.Length} {file.LastWriteTimeUtc.Ticks}");
    }

    private static EnumerationOptions Everything =>
        new() { RecurseSubdirectories = true, IgnoreInaccessible = false, AttributesToSkip = 0 };

    private static IEnumerable<string> List(string path) => Directory
        .EnumerateFiles(path, "*", Everything)
        .Select(file => System.IO.Path.GetRelativePath(path, file).Replace(System.IO.Path.DirectorySeparatorChar, '/'));
}

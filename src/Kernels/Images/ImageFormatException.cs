namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Says in one line which image cannot be used and what to do about it.</summary>
public sealed class ImageFormatException : IOException
{
    /// <summary>Describes a fault in an image file.</summary>
    /// <param name="file">Path or name of the file.</param>
    /// <param name="got">What is wrong with it.</param>
    /// <param name="remedy">What to do about it.</param>
    /// <param name="cause">The underlying error, if any.</param>
    public ImageFormatException(string file, string got, string remedy, Exception? cause = null)
        : base($"{file}: {got}; {remedy}", cause)
    {
        File = file;
        Got = got;
        Remedy = remedy;
    }

    /// <summary>Path or name of the file.</summary>
    public string File { get; }

    /// <summary>What is wrong with the file.</summary>
    public string Got { get; }

    /// <summary>What to do about it.</summary>
    public string Remedy { get; }

    /// <summary>The file ends before the image does.</summary>
    internal static ImageFormatException CutShort(string file, string kind) =>
        new(file, $"the {kind} data ends before the image does", "the file is cut short: fetch it again or remove it");

    /// <summary>The file contradicts itself.</summary>
    internal static ImageFormatException Damaged(string file, string got, Exception? cause = null) =>
        new(file, got, "the file is damaged: fetch it again or remove it", cause);
}

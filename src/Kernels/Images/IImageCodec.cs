namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Turns the bytes of image files into pixels: the seam behind which another imaging library fits.</summary>
public interface IImageCodec
{
    /// <summary>File extensions worth trying, lower case with their dot: ".png".</summary>
    IReadOnlyList<string> Extensions { get; }

    /// <summary>Decodes one image; called from several threads at once.</summary>
    /// <param name="name">Path or name of the file, for errors.</param>
    /// <param name="bytes">The whole file.</param>
    /// <returns>The image with as many channels as the file has; the first frame of an animation.</returns>
    /// <exception cref="ImageFormatException">The file is empty, cut short, damaged or of a kind that is not decoded.</exception>
    PixelImage Decode(string name, byte[] bytes);
}

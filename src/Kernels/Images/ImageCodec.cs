using StbImageSharp;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>The codec in use unless another is given: PNG, JPEG, BMP and the first frame of GIF, told apart by content.</summary>
/// <remarks>
/// PNG and JPEG are decoded here, to the bytes that libpng and libjpeg give: PNG of every colour type, depth and interlacing
/// (16-bit samples keep their high byte), JPEG baseline and progressive. BMP and GIF are StbImageSharp's.
/// WebP, TIFF, AVIF and HEIC are not decoded. Neither embedded orientation nor colour profiles are applied, as in Pillow.
/// </remarks>
public sealed class ImageCodec : IImageCodec
{
    /// <summary>The one instance; it has no state.</summary>
    public static ImageCodec Default { get; } = new();

    /// <inheritdoc/>
    public IReadOnlyList<string> Extensions { get; } = [".png", ".jpg", ".jpeg", ".bmp", ".gif"];

    private ImageCodec()
    {
    }

    /// <inheritdoc/>
    public PixelImage Decode(string name, byte[] bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        switch (bytes)
        {
            case [0x89, (byte)'P', (byte)'N', (byte)'G', ..]:
                return PngDecoder.Decode(name, bytes);
            case [0xFF, 0xD8, 0xFF, ..]:
                return JpegDecoder.Decode(name, bytes);
            case [(byte)'B', (byte)'M', ..]:
                FileStructure.CheckBmp(name, bytes);
                return DecodeWithStb(name, bytes, "BMP");
            case [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..]:
                FileStructure.CheckGif(name, bytes);
                return DecodeWithStb(name, bytes, "GIF");
            default:
                throw Unknown(name, bytes);
        }
    }

    private static PixelImage DecodeWithStb(string name, byte[] bytes, string kind)
    {
        try
        {
            var image = ImageResult.FromMemory(bytes, ColorComponents.Default);
            return new PixelImage(image.Width, image.Height, (int)image.Comp, image.Data);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // The library meets bad data with exceptions of many types, index errors among them.
            throw ImageFormatException.Damaged(name, $"the {kind} data cannot be decoded ({error.Message.TrimEnd('.')})", error);
        }
    }

    private static ImageFormatException Unknown(string name, byte[] bytes)
    {
        string kind = bytes switch
        {
            [] => "the file is empty",
            [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', ..] => "this is a WebP image",
            [(byte)'I', (byte)'I', 42, 0, ..] or [(byte)'M', (byte)'M', 0, 42, ..] => "this is a TIFF image",
            [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', ..] => "this is an AVIF, HEIC or video file",
            [(byte)'<', ..] => "this is a web page or SVG",
            _ => "the content is no known kind of image",
        };
        return new ImageFormatException(name, kind, "expected PNG, JPEG, BMP or GIF: convert or remove the file");
    }
}

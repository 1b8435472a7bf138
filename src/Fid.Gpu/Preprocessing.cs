using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Fid;

/// <summary>The named recipes: from an 8-bit image of any size to Inception's input.</summary>
internal static class Preprocessing
{
    private const int Size = InceptionV3.ImageSize;
    private const int Channels = 3;

    /// <summary>Values of one prepared image.</summary>
    public const int Length = Size * Size * Channels;

    /// <summary>Resizes an image and brings its values to −1 to 1.</summary>
    /// <param name="recipe">How.</param>
    /// <param name="image">Grey, which is repeated, or RGB.</param>
    /// <param name="name">The image's file, for messages.</param>
    /// <param name="destination">[299, 299, 3].</param>
    /// <exception cref="ImageFormatException">The image has an alpha channel, for which no score is defined.</exception>
    public static void Prepare(FidRecipe recipe, PixelImage image, string name, Span<float> destination)
    {
        if (image.Channels is 2 or 4)
        {
            throw new ImageFormatException(name, $"has {image.Channels} channels, one of them alpha, and scores see 1 or 3",
                "paint it on a background and save it without alpha");
        }
        var colors = image.Convert(Channels);
        switch (recipe)
        {
            case FidRecipe.PytorchFid:
                LinearResize.Resize(colors, Size, Size, ResizeMode.Bilinear, 2f / 255, -1, destination);
                break;
            case FidRecipe.Tf1:
                LinearResize.Resize(colors, Size, Size, ResizeMode.BilinearTensorFlow1, 1f / 128, -1, destination);
                break;
            default:
                Clean(colors, destination);
                break;
        }
    }

    /// <summary>clean-fid's resize: each channel on its own, in floats.</summary>
    private static void Clean(PixelImage image, Span<float> destination)
    {
        float[] samples = Array.ConvertAll(image.Pixels, sample => (float)sample);
        PillowResize.Resize(samples, (image.Width, image.Height), Channels, (Size, Size), ResizeFilter.Bicubic, destination);
        foreach (ref float value in destination)
            value = (Math.Clamp(value, 0, 255) - 128) / 128;
    }
}

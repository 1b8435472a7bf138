namespace Diffusion.Gpu.Kernels.Images;

/// <summary>An image of 8-bit samples on the host: rows from the top, pixels from the left, channels together.</summary>
public sealed class PixelImage
{
    /// <summary>More pixels than any photograph; a file that claims more is refused before memory is asked for.</summary>
    internal const int LargestPixelCount = 1 << 28;

    /// <summary>Wraps samples, which are not copied.</summary>
    /// <param name="width">Pixels per row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="channels">1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha (not premultiplied).</param>
    /// <param name="pixels">[height, width, channels].</param>
    /// <exception cref="ArgumentException">The number of samples differs from height x width x channels.</exception>
    public PixelImage(int width, int height, int channels, byte[] pixels)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfLessThan(channels, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(channels, 4);
        ArgumentNullException.ThrowIfNull(pixels);
        if (pixels.LongLength != (long)width * height * channels)
        {
            throw new ArgumentException($"{width}x{height}x{channels} samples expected, {pixels.Length} given", nameof(pixels));
        }

        Width = width;
        Height = height;
        Channels = channels;
        Pixels = pixels;
    }

    /// <summary>Pixels per row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>Samples per pixel: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.</summary>
    public int Channels { get; }

    /// <summary>[height, width, channels].</summary>
    public byte[] Pixels { get; }

    /// <summary>Converts to another number of channels as Pillow's convert("L"), ("LA"), ("RGB") and ("RGBA") do.</summary>
    /// <param name="channels">1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.</param>
    /// <returns>This image when the number is the same already.</returns>
    /// <remarks>Grey is (19595 R + 38470 G + 7471 B + 32768) / 65536; alpha is dropped, not blended; missing alpha is opaque.</remarks>
    public PixelImage Convert(int channels)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(channels, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(channels, 4);
        if (channels == Channels)
        {
            return this;
        }

        var result = new byte[Width * Height * channels];
        bool colored = Channels >= 3, hasAlpha = Channels is 2 or 4;
        for (int from = 0, to = 0; from < Pixels.Length; from += Channels, to += channels)
        {
            byte red = Pixels[from], green = colored ? Pixels[from + 1] : red, blue = colored ? Pixels[from + 2] : red;
            if (channels >= 3)
            {
                result[to] = red;
                result[to + 1] = green;
                result[to + 2] = blue;
            }
            else
            {
                // The weights add up to 65536, so grey stays what it is.
                result[to] = (byte)(((19595 * red) + (38470 * green) + (7471 * blue) + 0x8000) >> 16);
            }

            if (channels is 2 or 4)
            {
                result[to + channels - 1] = hasAlpha ? Pixels[from + Channels - 1] : byte.MaxValue;
            }
        }

        return new PixelImage(Width, Height, channels, result);
    }
}

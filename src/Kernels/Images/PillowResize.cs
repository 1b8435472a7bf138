using System.Buffers;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Resizes as Pillow's Image.resize does, byte for byte: two passes, antialiased, rows of 8 bits between them.</summary>
/// <remarks>
/// Pillow, Resample.c: 22 fractional bits, the horizontal pass first, each pass rounded and clipped to 8 bits.
/// With an alpha channel the colours are premultiplied for the resize, as Image.resize does.
/// </remarks>
public static class PillowResize
{
    /// <summary>Resizes an image.</summary>
    /// <param name="image">Any number of channels.</param>
    /// <param name="width">Pixels per row afterwards.</param>
    /// <param name="height">Rows afterwards.</param>
    /// <param name="filter">The kernel.</param>
    public static PixelImage Resize(PixelImage image, int width, int height, ResizeFilter filter)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        var pixels = new byte[checked(width * height * image.Channels)];
        Resize(image, (width, height), filter, new Window(0, 0, width, height), pixels);
        return new PixelImage(width, height, image.Channels, pixels);
    }

    /// <summary>Resizes floats, each channel as Pillow does in mode F.</summary>
    /// <param name="samples">[height, width, channels] before.</param>
    /// <param name="size">Width and height before, in pixels.</param>
    /// <param name="channels">1 to 4.</param>
    /// <param name="target">Width and height afterwards, in pixels.</param>
    /// <param name="filter">The kernel.</param>
    /// <param name="destination">[height, width, channels] afterwards.</param>
    /// <exception cref="ArgumentException">The number of samples before or after is another.</exception>
    public static void Resize(ReadOnlySpan<float> samples, (int Width, int Height) size, int channels, (int Width, int Height) target,
        ResizeFilter filter, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(target.Width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(target.Height);
        ArgumentOutOfRangeException.ThrowIfLessThan(channels, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(channels, Vector256<double>.Count);
        Check(samples.Length, size, channels, nameof(samples));
        Check(destination.Length, target, channels, nameof(destination));
        var across = new ResizeCoefficients(size.Width, target.Width, filter, 0, target.Width);
        var down = new ResizeCoefficients(size.Height, target.Height, filter, 0, target.Height);
        int from = size.Width * channels, to = target.Width * channels;
        float[] rows = ArrayPool<float>.Shared.Rent(size.Height * to);
        var pixels = new Vector256<double>[size.Width];
        for (int y = 0; y < size.Height; y++)
        {
            ResizeRow(samples.Slice(y * from, from), pixels, rows.AsSpan(y * to, to), channels, across);
        }

        for (int y = 0; y < target.Height; y++)
        {
            WeighRows(rows.AsSpan(down.Start(y) * to), to, down.Weights(y), destination.Slice(y * to, to));
        }

        ArrayPool<float>.Shared.Return(rows);
    }

    /// <summary>A rectangle of the resized image, in its pixels.</summary>
    internal readonly record struct Window(int Left, int Top, int Width, int Height);

    /// <summary>Computes a window of the resized image, reading only the rows and columns it depends on.</summary>
    /// <param name="image">Any number of channels.</param>
    /// <param name="size">Width and height of the whole resized image.</param>
    /// <param name="filter">The kernel.</param>
    /// <param name="window">The part wanted.</param>
    /// <param name="destination">[window height, window width, channels].</param>
    internal static void Resize(PixelImage image, (int Width, int Height) size, ResizeFilter filter, Window window, Span<byte> destination)
    {
        int channels = image.Channels;
        // Pillow returns an image of the wanted size as it is, without the round trip through premultiplied colours.
        bool hasAlpha = channels is 2 or 4 && size != (image.Width, image.Height);
        byte[] source = hasAlpha ? Premultiply(image) : image.Pixels;
        var across = new ResizeCoefficients(image.Width, size.Width, filter, window.Left, window.Width);
        var down = new ResizeCoefficients(image.Height, size.Height, filter, window.Top, window.Height);

        int stride = window.Width * channels;
        byte[] rows = ArrayPool<byte>.Shared.Rent((down.End - down.First) * stride);
        for (int y = down.First; y < down.End; y++)
        {
            var from = source.AsSpan(y * image.Width * channels, image.Width * channels);
            var to = rows.AsSpan((y - down.First) * stride, stride);
            if (size.Width == image.Width)
            {
                from.Slice(window.Left * channels, stride).CopyTo(to);
            }
            else
            {
                ResizeRow(from, to, channels, across);
            }
        }

        for (int y = 0; y < window.Height; y++)
        {
            var taps = rows.AsSpan((down.Start(y) - down.First) * stride);
            WeighRows(taps, stride, down.FixedWeights(y), destination.Slice(y * stride, stride));
        }

        ArrayPool<byte>.Shared.Return(rows);
        if (hasAlpha)
        {
            Unpremultiply(destination, channels);
        }
    }

    private static void ResizeRow(ReadOnlySpan<byte> from, Span<byte> to, int channels, ResizeCoefficients coefficients)
    {
        const int Half = 1 << (ResizeCoefficients.FractionBits - 1);
        for (int x = 0; x < to.Length / channels; x++)
        {
            var weights = coefficients.FixedWeights(x);
            var source = from.Slice(coefficients.Start(x) * channels, weights.Length * channels);
            var target = to.Slice(x * channels, channels);
            if (channels == 3)
            {
                int red = Half, green = Half, blue = Half;
                for (int tap = 0; tap < weights.Length; tap++)
                {
                    var pixel = source.Slice(tap * 3, 3);
                    red += pixel[0] * weights[tap];
                    green += pixel[1] * weights[tap];
                    blue += pixel[2] * weights[tap];
                }

                target[2] = Clip(blue);
                target[1] = Clip(green);
                target[0] = Clip(red);
                continue;
            }

            for (int channel = 0; channel < target.Length; channel++)
            {
                int sum = Half;
                for (int tap = 0; tap < weights.Length; tap++)
                {
                    sum += source[(tap * channels) + channel] * weights[tap];
                }

                target[channel] = Clip(sum);
            }
        }
    }

    private static void WeighRows(ReadOnlySpan<byte> rows, int stride, ReadOnlySpan<int> weights, Span<byte> destination)
    {
        const int Half = 1 << (ResizeCoefficients.FractionBits - 1);
        int x = 0;
        for (; x <= destination.Length - Vector128<byte>.Count; x += Vector128<byte>.Count)
        {
            Vector128<int> a = Vector128.Create(Half), b = a, c = a, d = a;
            for (int tap = 0; tap < weights.Length; tap++)
            {
                var weight = Vector128.Create(weights[tap]);
                var (lower, upper) = Vector128.Widen(Vector128.Create(rows.Slice((tap * stride) + x, Vector128<byte>.Count)));
                var (first, second) = Vector128.Widen(lower);
                var (third, fourth) = Vector128.Widen(upper);
                a += first.AsInt32() * weight;
                b += second.AsInt32() * weight;
                c += third.AsInt32() * weight;
                d += fourth.AsInt32() * weight;
            }

            Vector128.Narrow(Vector128.Narrow(Clip(a), Clip(b)).AsUInt16(), Vector128.Narrow(Clip(c), Clip(d)).AsUInt16())
                .CopyTo(destination[x..]);
        }

        for (; x < destination.Length; x++)
        {
            int sum = Half;
            for (int tap = 0; tap < weights.Length; tap++)
            {
                sum += rows[(tap * stride) + x] * weights[tap];
            }

            destination[x] = Clip(sum);
        }
    }

    private static byte Clip(int sum) => (byte)Math.Clamp(sum >> ResizeCoefficients.FractionBits, 0, 255);

    private static Vector128<int> Clip(Vector128<int> sum) =>
        Vector128.Min(Vector128.Max(sum >> ResizeCoefficients.FractionBits, Vector128<int>.Zero), Vector128.Create(255));

    private static void Check(int samples, (int Width, int Height) size, int channels, string argument)
    {
        if (size.Width <= 0 || size.Height <= 0 || samples != (long)size.Width * size.Height * channels)
        {
            throw new ArgumentException($"{size.Width}x{size.Height}x{channels} values expected, {samples} given", argument);
        }
    }

    /// <summary>One lane per channel: sums are in double and in the order of the source, as Pillow's.</summary>
    private static void ResizeRow(ReadOnlySpan<float> from, Span<Vector256<double>> pixels, Span<float> to, int channels,
        ResizeCoefficients coefficients)
    {
        for (int x = 0; x < pixels.Length; x++)
        {
            var pixel = Vector256<double>.Zero;
            for (int channel = 0; channel < channels; channel++)
            {
                pixel = pixel.WithElement(channel, from[(x * channels) + channel]);
            }

            pixels[x] = pixel;
        }

        for (int x = 0; x < to.Length / channels; x++)
        {
            var weights = coefficients.Weights(x);
            var source = pixels.Slice(coefficients.Start(x), weights.Length);
            var sum = Vector256<double>.Zero;
            for (int tap = 0; tap < weights.Length; tap++)
            {
                sum += source[tap] * weights[tap];
            }

            for (int channel = 0; channel < channels; channel++)
            {
                to[(x * channels) + channel] = (float)sum[channel];
            }
        }
    }

    private static void WeighRows(ReadOnlySpan<float> rows, int stride, ReadOnlySpan<double> weights, Span<float> destination)
    {
        int x = 0;
        for (; x <= destination.Length - Vector256<float>.Count; x += Vector256<float>.Count)
        {
            Vector256<double> lower = default, upper = default;
            for (int tap = 0; tap < weights.Length; tap++)
            {
                var (first, second) = Vector256.Widen(Vector256.Create(rows.Slice((tap * stride) + x, Vector256<float>.Count)));
                lower += first * weights[tap];
                upper += second * weights[tap];
            }

            Vector256.Narrow(lower, upper).CopyTo(destination[x..]);
        }

        for (; x < destination.Length; x++)
        {
            double sum = 0;
            for (int tap = 0; tap < weights.Length; tap++)
            {
                sum += rows[(tap * stride) + x] * weights[tap];
            }

            destination[x] = (float)sum;
        }
    }

    /// <summary>Pillow's MULDIV255: colour x alpha / 255, rounded.</summary>
    private static byte[] Premultiply(PixelImage image)
    {
        var pixels = (byte[])image.Pixels.Clone();
        int channels = image.Channels;
        for (int i = 0; i < pixels.Length; i += channels)
        {
            int alpha = pixels[i + channels - 1];
            for (int channel = 0; channel < channels - 1; channel++)
            {
                int product = (pixels[i + channel] * alpha) + 128;
                pixels[i + channel] = (byte)(((product >> 8) + product) >> 8);
            }
        }

        return pixels;
    }

    private static void Unpremultiply(Span<byte> pixels, int channels)
    {
        for (int i = 0; i < pixels.Length; i += channels)
        {
            int alpha = pixels[i + channels - 1];
            if (alpha is 0 or 255)
            {
                continue;
            }

            for (int channel = 0; channel < channels - 1; channel++)
            {
                pixels[i + channel] = (byte)Math.Min(255 * pixels[i + channel] / alpha, 255);
            }
        }
    }
}

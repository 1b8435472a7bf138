using System.Buffers;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Resizes 8-bit images to floats as networks want them: the host's side of <see cref="Tape.Resize"/>, with the scaling of the
/// values in the same pass.</summary>
public static class LinearResize
{
    /// <summary>Resizes an image; each result is resized value · scale + shift.</summary>
    /// <param name="image">Any number of channels.</param>
    /// <param name="width">Pixels per row afterwards.</param>
    /// <param name="height">Rows afterwards.</param>
    /// <param name="mode">The filter.</param>
    /// <param name="scale">Multiplies the samples, which are 0 to 255.</param>
    /// <param name="shift">Is added to the product.</param>
    /// <param name="destination">[height, width, channels].</param>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <remarks>Rows first along the image, then across it. Every row is resized once, when the first output row wants it.</remarks>
    public static unsafe void Resize(PixelImage image, int width, int height, ResizeMode mode, float scale, float shift,
        Span<float> destination)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        int channels = image.Channels, length = checked(width * channels);
        if (destination.Length != (long)height * length)
            throw new ArgumentException($"{height}x{width}x{channels} values expected, {destination.Length} given", nameof(destination));
        var along = ResizeTaps.Create(image.Width, width, mode);
        var across = ResizeTaps.Create(image.Height, height, mode);
        // Consecutive rows, as many as an output row reads: row r lies in slot r mod slots until row r + slots replaces it.
        int slots = across.Width, resized = 0;
        float[] memory = ArrayPool<float>.Shared.Rent(slots * length);
        fixed (float* rows = memory, target = destination)
        {
            for (int y = 0; y < height; y++)
            {
                int first = across.Starts[y], end = first + across.Counts[y];
                for (resized = Math.Max(resized, first); resized < end; resized++)
                    ResizeRow(image, resized, along, rows + (resized % slots * length));
                Blend(rows, slots, length, first, across.Weights.AsSpan(y * across.Width, across.Counts[y]), scale, shift,
                    target + ((long)y * length));
            }
        }
        ArrayPool<float>.Shared.Return(memory);
    }

    private static unsafe void ResizeRow(PixelImage image, int row, ResizeTaps taps, float* target)
    {
        int channels = image.Channels;
        fixed (byte* source = &image.Pixels[row * image.Width * channels])
        fixed (float* weights = taps.Weights)
        {
            for (int x = 0; x < taps.Outputs; x++, target += channels)
            {
                byte* pixel = source + (taps.Starts[x] * channels);
                float* weight = weights + (x * taps.Width);
                int count = taps.Counts[x];
                for (int channel = 0; channel < channels; channel++)
                {
                    float sum = 0;
                    for (int tap = 0; tap < count; tap++)
                        sum = MathF.FusedMultiplyAdd(weight[tap], pixel[(tap * channels) + channel], sum);
                    target[channel] = sum;
                }
            }
        }
    }

    /// <summary>target = scale · (weighted sum of the rows first, first + 1, …) + shift.</summary>
    private static unsafe void Blend(float* rows, int slots, int length, int first, ReadOnlySpan<float> weights, float scale, float shift,
        float* target)
    {
        for (int x = 0; x < length; x += Simd.Width)
        {
            var sum = Lanes.Zero;
            for (int tap = 0; tap < weights.Length; tap++)
                sum = Simd.MultiplyAdd(Simd.Splat(weights[tap]), Simd.Load(rows + ((first + tap) % slots * length) + x, length - x), sum);
            Simd.Store(Simd.MultiplyAdd(sum, Simd.Splat(scale), Simd.Splat(shift)), target + x, length - x);
        }
    }
}

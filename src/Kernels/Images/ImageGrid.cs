namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Lays a batch out in rows on a black background and quantises it, as torchvision's save_image does.</summary>
public static class ImageGrid
{
    /// <summary>Makes one image of a batch.</summary>
    /// <param name="batch">[N, H, W, C], values in [0, 1]; what lies outside is clamped.</param>
    /// <param name="height">H, in pixels.</param>
    /// <param name="width">W, in pixels.</param>
    /// <param name="channels">C: 1, 3 or 4.</param>
    /// <param name="perRow">Images per row.</param>
    /// <param name="padding">Pixels between images and around the grid.</param>
    /// <returns>The grid; grey images become RGB, and a single image stands without padding.</returns>
    /// <exception cref="ArgumentException">The batch is empty, not whole or holds a value that is not a number.</exception>
    /// <remarks>torchvision.utils.make_grid and save_image: x times 255 plus 0.5, clamped and truncated.</remarks>
    public static PixelImage Make(ReadOnlySpan<float> batch, int height, int width, int channels, int perRow, int padding = 2)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(channels);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(perRow);
        ArgumentOutOfRangeException.ThrowIfNegative(padding);
        int length = checked(height * width * channels);
        if (batch.IsEmpty || batch.Length % length != 0)
        {
            throw new ArgumentException($"{batch.Length} values are no batch of {height}x{width}x{channels}", nameof(batch));
        }

        int count = batch.Length / length, columns = Math.Min(perRow, count), rows = (count + columns - 1) / columns;
        padding = count == 1 ? 0 : padding;
        int gridWidth = (columns * (width + padding)) + padding, gridHeight = (rows * (height + padding)) + padding;
        int gridChannels = channels == 1 ? 3 : channels;
        var grid = new byte[checked(gridWidth * gridHeight * gridChannels)];
        for (int i = 0; i < count; i++)
        {
            int left = padding + (i % columns * (width + padding)), top = padding + (i / columns * (height + padding));
            for (int y = 0; y < height; y++)
            {
                var from = batch.Slice((i * length) + (y * width * channels), width * channels);
                var to = grid.AsSpan((((top + y) * gridWidth) + left) * gridChannels, width * gridChannels);
                for (int x = 0; x < to.Length; x++)
                {
                    to[x] = Quantise(channels == 1 ? from[x / 3] : from[x]);
                }
            }
        }

        return new PixelImage(gridWidth, gridHeight, gridChannels, grid);
    }

    private static byte Quantise(float value) => float.IsNaN(value)
        ? throw new ArgumentException("the batch holds a value that is not a number", nameof(value))
        : (byte)Math.Clamp((value * 255f) + 0.5f, 0f, 255f);
}

namespace Diffusion.Gpu.Kernels.Images;

/// <summary>Brings images of any size to one size and number of channels: converts, resizes (bilinear), crops or squashes, flips.</summary>
/// <param name="Width">Pixels per row afterwards.</param>
/// <param name="Height">Rows afterwards.</param>
/// <param name="Channels">1 grey, 3 RGB, 4 RGBA; others of the image are converted.</param>
/// <param name="Squash">
/// False resizes until the target is covered, keeping the aspect, and cuts out the centre. True resizes straight to the target,
/// which is what denoising-diffusion-pytorch's Trainer does in effect (version 2.3.1 hands its Dataset a tuple).
/// </param>
/// <remarks>Source: denoising-diffusion-pytorch, Dataset: Resize, RandomHorizontalFlip, CenterCrop of torchvision, in this order.</remarks>
public sealed record ImageTransform(int Width, int Height, int Channels, bool Squash = false)
{
    /// <summary>Samples of one transformed image.</summary>
    public int Length => checked(Width * Height * Channels);

    /// <summary>Transforms one image.</summary>
    /// <param name="image">Of any size and number of channels.</param>
    /// <param name="flip">True mirrors left and right.</param>
    /// <param name="destination">[height, width, channels], <see cref="Length"/> samples.</param>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    public void Apply(PixelImage image, bool flip, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (destination.Length != Length)
        {
            throw new ArgumentException($"{Length} samples expected, room for {destination.Length} given", nameof(destination));
        }

        var size = ResizedSize(image);
        int left = CropOffset(size.Width - Width), top = CropOffset(size.Height - Height);
        // The flip comes before the crop, so an uneven margin changes sides.
        left = flip ? size.Width - Width - left : left;
        PillowResize.Resize(image.Convert(Channels), size, ResizeFilter.Bilinear, new(left, top, Width, Height), destination);
        if (flip)
        {
            Mirror(destination);
        }
    }

    /// <summary>The smallest size of the image's aspect that covers the target; the longer side is truncated as torchvision does.</summary>
    private (int Width, int Height) ResizedSize(PixelImage image)
    {
        long wide = (long)Width * image.Height, tall = (long)Height * image.Width;
        return Squash ? (Width, Height)
            : wide >= tall ? (Width, (int)(wide / image.Width))
            : ((int)(tall / image.Height), Height);
    }

    /// <summary>Half the margin, halves to even: Python's round.</summary>
    private static int CropOffset(int margin) => (int)Math.Round(margin / 2.0, MidpointRounding.ToEven);

    private void Mirror(Span<byte> pixels)
    {
        for (int y = 0; y < Height; y++)
        {
            var row = pixels.Slice(y * Width * Channels, Width * Channels);
            // Reversing the row reverses every pixel's channels too; reversing each pixel restores them.
            row.Reverse();
            for (int x = 0; x < row.Length; x += Channels)
            {
                row.Slice(x, Channels).Reverse();
            }
        }
    }
}

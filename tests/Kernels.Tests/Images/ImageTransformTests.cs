using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Kernels.Tests.Images;

public sealed class ImageTransformTests
{
    [TestCase(1)]
    [TestCase(3)]
    [TestCase(4)]
    public void Transform_flips_before_it_crops(int channels)
    {
        // 13 columns to 8: the margin of 5 is uneven, so the flipped crop is not the mirrored crop.
        var image = Random(13, 8, channels);
        var transform = new ImageTransform(8, 8, channels);
        var flipped = new byte[transform.Length];
        transform.Apply(image, flip: true, flipped);
        var plain = new byte[transform.Length];
        transform.Apply(Mirror(image), flip: false, plain);
        Assert.That(flipped, Is.EqualTo(plain));
    }

    [TestCase(61, 45, 20, 12)]
    [TestCase(45, 61, 20, 12)]
    [TestCase(9, 5, 20, 12)]
    public void Transform_to_a_rectangle_covers_it_and_equals_resize_then_crop(int imageWidth, int imageHeight, int width, int height)
    {
        var image = Random(imageWidth, imageHeight, 3);
        var transform = new ImageTransform(width, height, 3);
        var actual = new byte[transform.Length];
        transform.Apply(image, flip: false, actual);

        double scale = Math.Max((double)width / imageWidth, (double)height / imageHeight);
        int wide = Math.Max(width, (int)(imageWidth * scale)), tall = Math.Max(height, (int)(imageHeight * scale));
        var resized = PillowResize.Resize(image, wide, tall, ResizeFilter.Bilinear);
        int left = (int)Math.Round((wide - width) / 2.0), top = (int)Math.Round((tall - height) / 2.0);
        var expected = Enumerable.Range(0, height)
            .SelectMany(y => resized.Pixels.Skip((((top + y) * wide) + left) * 3).Take(width * 3));
        Assert.That(actual, Is.EqualTo(expected));
    }

    [Test]
    public void Transform_refuses_a_destination_of_another_length()
    {
        Assert.That(() => new ImageTransform(2, 2, 3).Apply(Random(2, 2, 3), false, new byte[11]), Throws.ArgumentException);
    }

    [Test]
    public void Resize_of_the_same_size_keeps_colours_that_alpha_hides()
    {
        var image = new PixelImage(1, 1, 4, [10, 20, 30, 1]);
        Assert.That(PillowResize.Resize(image, 1, 1, ResizeFilter.Bicubic).Pixels, Is.EqualTo(image.Pixels));
    }

    [Test]
    public void Grid_of_one_grey_image_is_rgb_without_padding_and_clamps()
    {
        var grid = ImageGrid.Make([-1f, 0.5f, 1f, 2f], 2, 2, 1, perRow: 5);
        Assert.That((grid.Width, grid.Height), Is.EqualTo((2, 2)));
        Assert.That(grid.Pixels, Is.EqualTo(new byte[] { 0, 0, 0, 128, 128, 128, 255, 255, 255, 255, 255, 255 }));
        Assert.That(() => ImageGrid.Make([float.NaN], 1, 1, 1, 1), Throws.ArgumentException);
        Assert.That(() => ImageGrid.Make([1f, 2f, 3f], 1, 2, 1, 1), Throws.ArgumentException);
    }

    private static PixelImage Random(int width, int height, int channels)
    {
        var pixels = new byte[width * height * channels];
        new Random(7).NextBytes(pixels);
        return new PixelImage(width, height, channels, pixels);
    }

    private static PixelImage Mirror(PixelImage image)
    {
        var pixels = new byte[image.Pixels.Length];
        for (int i = 0; i < pixels.Length; i++)
        {
            int channel = i % image.Channels, x = i / image.Channels % image.Width, y = i / image.Channels / image.Width;
            pixels[i] = image.Pixels[(((y * image.Width) + image.Width - 1 - x) * image.Channels) + channel];
        }

        return new PixelImage(image.Width, image.Height, image.Channels, pixels);
    }
}

using System.Buffers.Binary;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Tests.Images;

public sealed class ImageCodecTests
{
    private static readonly string[] Intact =
        ["rgb_01_33x47.png", "interlaced_gray4.png", "palette4bit_trns.png", "jpeg_01_45x61_q75_420.jpg", "jpeg_05_31x64_q75_420_prog.jpg"];

    [TestCaseSource(nameof(Intact))]
    public void Codec_refuses_a_file_wherever_it_is_cut(string file)
    {
        byte[] bytes = Golden(file);
        int last = file.EndsWith("png", StringComparison.Ordinal) ? bytes.Length - 1 : bytes.Length - 2;
        for (int length = 0; length <= last; length++)
        {
            Assert.That(() => ImageCodec.Default.Decode("cut.x", bytes[..length]),
                Throws.TypeOf<ImageFormatException>().With.Message.StartsWith("cut.x: "), $"{length} of {bytes.Length} bytes");
        }
    }

    [TestCaseSource(nameof(Intact))]
    public void Codec_never_fails_in_another_way_when_bytes_are_damaged(string file)
    {
        byte[] bytes = Golden(file);
        bool isPng = file.EndsWith("png", StringComparison.Ordinal);
        for (int at = 0; at < bytes.Length; at += 7)
        {
            byte[] damaged = [.. bytes];
            damaged[at] ^= 0x55;
            try
            {
                ImageCodec.Default.Decode("bad.x", damaged);
                Assert.That(isPng, Is.False, $"byte {at}: a PNG file is protected by checksums");
            }
            catch (ImageFormatException error)
            {
                Assert.That(error.Message, Does.StartWith("bad.x: "));
            }
        }
    }

    [TestCase("", "empty")]
    [TestCase("RIFF....WEBPVP8 ", "WebP")]
    [TestCase("II*\0....", "TIFF")]
    [TestCase("<!doctype html>", "web page")]
    [TestCase("....ftypavif", "AVIF")]
    [TestCase("hello, world", "no known kind")]
    [TestCase("BM", "cut short")]
    [TestCase("GIF89a", "cut short")]
    public void Codec_says_what_a_file_is_when_it_is_none_of_its_kinds(string content, string expected)
    {
        Assert.That(() => ImageCodec.Default.Decode("photo.png", System.Text.Encoding.Latin1.GetBytes(content)),
            Throws.TypeOf<ImageFormatException>().With.Message.StartsWith("photo.png: ").And.Message.Contains(expected));
    }

    [Test]
    public void Codec_goes_by_the_content_when_the_extension_lies()
    {
        var image = ImageCodec.Default.Decode("renamed.jpg", Golden("rgb_01_33x47.png"));
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((47, 33, 3)));
    }

    [Test]
    public void Codec_refuses_a_size_that_the_data_cannot_hold()
    {
        byte[] png = Golden("rgb_07_1x1.png");
        BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(16), 20000);
        BinaryPrimitives.WriteInt32BigEndian(png.AsSpan(20), 10000);
        BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(29), Crc32.Compute(png.AsSpan(12, 17)));
        Assert.That(() => ImageCodec.Default.Decode("bomb.png", png),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains("20000x10000"));

        byte[] jpeg = Golden("jpeg_12_1x1_q75_420.jpg");
        int frame = jpeg.AsSpan().IndexOf(new byte[] { 0xFF, 0xC0 });
        jpeg.AsSpan(frame + 5, 4).Fill(0xFF);
        Assert.That(() => ImageCodec.Default.Decode("bomb.jpg", jpeg),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains("65535x65535"));
    }

    [TestCase(0xC9, "not decoded")]
    [TestCase(0xC3, "not decoded")]
    [TestCase(0xC1, null)]
    public void Codec_refuses_kinds_of_jpeg_that_it_does_not_decode(int marker, string? expected)
    {
        byte[] jpeg = Golden("jpeg_12_1x1_q75_420.jpg");
        jpeg[jpeg.AsSpan().IndexOf(new byte[] { 0xFF, 0xC0 }) + 1] = (byte)marker;
        if (expected is null)
        {
            // Extended sequential coding with 8 bits is baseline with more tables.
            Assert.That(ImageCodec.Default.Decode("a.jpg", jpeg).Width, Is.EqualTo(1));
            return;
        }

        Assert.That(() => ImageCodec.Default.Decode("a.jpg", jpeg),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains(expected).And.Message.Contains("convert"));
    }

    [Test]
    public void Codec_decodes_bmp_and_the_first_frame_of_gif()
    {
        // 2x1, 24 bits, blue-green-red: red, then blue; rows are padded to 4 bytes.
        byte[] bmp = [.. "BM"u8, .. Int32(62), .. Int32(0), .. Int32(54), .. Int32(40), .. Int32(2), .. Int32(1), 1, 0, 24, 0,
            .. new byte[24], 0, 0, 255, 255, 0, 0, 0, 0];
        Assert.That(ImageCodec.Default.Decode("a.bmp", bmp).Convert(3).Pixels, Is.EqualTo(new byte[] { 255, 0, 0, 0, 0, 255 }));
        Assert.That(() => ImageCodec.Default.Decode("a.bmp", bmp[..^1]), Throws.TypeOf<ImageFormatException>());

        // 1x1, two colours; LZW codes of three bits: clear 4, colour 1, end 5.
        byte[] gif = [.. "GIF89a"u8, 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 10, 20, 30,
            0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4C, 0x01, 0, 0x3B];
        Assert.That(ImageCodec.Default.Decode("a.gif", gif).Convert(3).Pixels, Is.EqualTo(new byte[] { 10, 20, 30 }));
        Assert.That(() => ImageCodec.Default.Decode("a.gif", gif[..^2]), Throws.TypeOf<ImageFormatException>());
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(4)]
    public void Png_round_trip_keeps_every_byte(int channels)
    {
        using var folder = new ScratchFolder();
        var pixels = new byte[31 * 17 * channels];
        new Random(channels).NextBytes(pixels);
        for (int i = 0; i < pixels.Length / 2; i++)
        {
            pixels[i] = (byte)(i / channels * 5);
        }

        PngWriter.Write(folder.File("a.png"), new PixelImage(31, 17, channels, pixels));
        var image = ImageCodec.Default.Decode("a.png", File.ReadAllBytes(folder.File("a.png")));
        Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((31, 17, channels)));
        Assert.That(image.Pixels, Is.EqualTo(pixels));
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(folder.File("a.png"))!), Has.Length.EqualTo(1));
    }

    [Test]
    public void Png_filters_shrink_a_smooth_image()
    {
        var pixels = new byte[256 * 256];
        for (int i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)((i % 256) + (3 * (i / 256)));
        }

        using var stream = new MemoryStream();
        PngWriter.Write(stream, new PixelImage(256, 256, 1, pixels));
        Assert.That(stream.Length, Is.LessThan(3000));
    }

    [Test]
    public void Image_refuses_samples_that_do_not_fill_it()
    {
        Assert.That(() => new PixelImage(2, 2, 3, new byte[11]), Throws.ArgumentException.With.Message.Contains("2x2x3"));
        Assert.That(() => new PixelImage(0, 2, 3, []), Throws.InstanceOf<ArgumentException>());
    }

    private static byte[] Golden(string file) => File.ReadAllBytes(Path.Combine(GoldenFile.Folder, "images", "files", file));

    private static byte[] Int32(int value) => BitConverter.GetBytes(value);
}

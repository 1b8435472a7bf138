using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests.Images;

/// <summary>Pillow's and torchvision's results, byte for byte, JPEG included.</summary>
public sealed class ImageGoldenTests
{
    private const StringComparison Ordinal = StringComparison.Ordinal;
    private static readonly Dictionary<string, int> Channels = new() { ["1"] = 1, ["L"] = 1, ["LA"] = 2, ["RGB"] = 3, ["RGBA"] = 4 };

    private static IEnumerable<string> Files()
    {
        using var golden = GoldenFile.Open("images/decoded");
        foreach (var file in golden.Config.EnumerateObject().Where(item => item.Name != "Pillow"))
        {
            yield return file.Name;
        }
    }

    [TestCaseSource(nameof(Files))]
    public void Decoded_image_equals_Pillows(string file)
    {
        using var golden = GoldenFile.Open("images/decoded");
        var image = Load(file);
        string mode = golden.Config.GetProperty(file).GetProperty("mode").GetString()!;
        var size = golden.Config.GetProperty(file).GetProperty("size_wh");
        Assert.That((image.Width, image.Height), Is.EqualTo((size[0].GetInt32(), size[1].GetInt32())));
        switch (mode)
        {
            case "P":
                // Pillow keeps indices; the colours are compared after the conversion.
                break;
            case "I":
                Assert.That(image.Pixels, Is.EqualTo(golden.Integers("decoded/" + file).Select(sample => (byte)(sample >> 8))));
                break;
            case "1":
                Assert.That(image.Pixels, Is.EqualTo(golden.Bytes("decoded/" + file).Select(bit => (byte)(bit * 255))));
                break;
            default:
                Assert.That(image.Convert(Channels[mode]).Pixels, Is.EqualTo(golden.Bytes("decoded/" + file)));
                break;
        }
    }

    [TestCaseSource(nameof(Files))]
    public void Converted_image_equals_Pillows(string file)
    {
        using var golden = GoldenFile.Open("images/decoded");
        if (golden.Config.GetProperty(file).GetProperty("convert_image_to").GetString() is not string mode)
        {
            // 16-bit grey alone: its conversion differs between Pillow's own versions.
            Assert.That(Load(file).Convert(3).Pixels, Has.Length.EqualTo(37 * 26 * 3));
            return;
        }

        string tensor = "converted/" + file;
        Assert.That(golden.Contains(tensor) || golden.Config.GetProperty(file).GetProperty("mode").GetString() == mode);
        byte[] expected = golden.Bytes(golden.Contains(tensor) ? tensor : "decoded/" + file);
        Assert.That(Load(file).Convert(Channels[mode]).Pixels, Is.EqualTo(expected));
    }

    private static IEnumerable<string> Transforms()
    {
        using var golden = GoldenFile.Open("images/transforms");
        foreach (var entry in golden.Entries)
        {
            string target = entry.Name[(entry.Name.IndexOf('/') + 1)..];
            if (!target.Contains('.') && (target.StartsWith("int", Ordinal) || target.StartsWith("tuple", Ordinal)))
            {
                yield return entry.Name;
            }
        }
    }

    [TestCaseSource(nameof(Transforms))]
    public void Transformed_image_equals_torchvisions(string name)
    {
        using var golden = GoldenFile.Open("images/transforms");
        int[] shape = golden.Shape(name);
        int channels = shape[0], height = shape[1], width = shape[2];
        string file = name[..name.IndexOf('/')];
        var transform = new ImageTransform(width, height, channels, Squash: name.Contains("/tuple"));
        var expected = golden.Bytes(name);
        var wanted = new byte[expected.Length];
        for (int i = 0; i < wanted.Length; i++)
        {
            wanted[i] = expected[(i % channels * height * width) + (i / channels)];
        }

        var actual = new byte[transform.Length];
        transform.Apply(Load(file), flip: false, actual);
        Assert.That(actual, Is.EqualTo(wanted));
    }

    [Test]
    public void Grid_equals_torchvisions_save_image()
    {
        using var golden = GoldenFile.Open("images/transforms");
        float[] planes = golden.Singles("save_image/in");
        int[] shape = golden.Shape("save_image/in");
        int channels = shape[1], height = shape[2], width = shape[3];
        var batch = new float[planes.Length];
        for (int i = 0; i < batch.Length; i++)
        {
            int pixel = i / channels % (height * width), image = i / (channels * height * width);
            batch[i] = planes[(((image * channels) + (i % channels)) * height * width) + pixel];
        }

        var grid = ImageGrid.Make(batch, height, width, channels, perRow: 3);
        Assert.That((grid.Height, grid.Width, grid.Channels), Is.EqualTo((32, 32, 3)));
        Assert.That(grid.Pixels, Is.EqualTo(golden.Bytes("save_image/u8_hwc")));
    }

    private static IEnumerable<string> Resizes()
    {
        using var golden = GoldenFile.Open("images/pil_resize_raw");
        return [.. golden.Entries.Select(entry => entry.Name).Where(name => !name.StartsWith("in.", Ordinal))];
    }

    [TestCaseSource(nameof(Resizes))]
    public void Resized_plane_equals_Pillows(string name)
    {
        using var golden = GoldenFile.Open("images/pil_resize_raw");
        string[] parts = name.Split('_');
        var filter = Enum.Parse<ResizeFilter>(parts[1], ignoreCase: true);
        int[] shape = golden.Shape(name), size = golden.Shape("in." + parts[0]);
        if (parts[0] == "u8")
        {
            var resized = PillowResize.Resize(new PixelImage(size[1], size[0], 1, golden.Bytes("in.u8")), shape[1], shape[0], filter);
            Assert.That(resized.Pixels, Is.EqualTo(golden.Bytes(name)));
        }
        else
        {
            var resized = new float[shape[1] * shape[0]];
            PillowResize.Resize(golden.Singles("in.f32"), (size[1], size[0]), 1, (shape[1], shape[0]), filter, resized);
            Assert.That(GoldenFile.RelMax<float, float>(resized, golden.Singles(name)), Is.LessThanOrEqualTo(1e-6));
        }
    }

    private static PixelImage Load(string file)
    {
        string path = Path.Combine(GoldenFile.Folder, "images", "files", file);
        return ImageCodec.Default.Decode(path, File.ReadAllBytes(path));
    }
}

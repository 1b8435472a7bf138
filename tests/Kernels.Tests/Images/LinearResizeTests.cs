using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests.Images;

/// <summary>The host's resize gives what the op gives, which has PyTorch's and TensorFlow's numbers.</summary>
public sealed class LinearResizeTests
{
    private static IEnumerable<TestCaseData> Cases =>
        from mode in Enum.GetValues<ResizeMode>()
        from size in new (int Height, int Width)[] { (5, 7), (1, 1), (40, 3), (13, 11) }
        from channels in new[] { 1, 3, 4 }
        select new TestCaseData(mode, size.Height, size.Width, channels);

    [TestCaseSource(nameof(Cases))]
    public void Result_is_the_ops_scaled_and_shifted(ResizeMode mode, int height, int width, int channels)
    {
        byte[] pixels = [.. Enumerable.Range(0, height * width * channels).Select(i => (byte)(i * 37 % 251))];
        var result = new float[13 * 11 * channels];
        LinearResize.Resize(new PixelImage(width, height, channels, pixels), 11, 13, mode, 0.5f, -3, result);
        using var tape = TestDevices.Open("cpu").NewTape(recording: false);
        var x = tape.Constant([1, height, width, channels], [.. pixels.Select(sample => (float)sample)]);
        double[] expected = [.. tape.Resize(x, 13, 11, mode).ToArray().Select(value => (0.5 * value) - 3)];
        Assert.That(GoldenFile.RelMax<float, double>(result, expected), Is.LessThan(1e-6));
    }

    [Test]
    public void Destination_of_another_length_is_refused()
        => Assert.That(() => LinearResize.Resize(new PixelImage(1, 1, 3, new byte[3]), 2, 2, ResizeMode.Bilinear, 1, 0, new float[13]),
            Throws.ArgumentException.With.Message.Contains("2x2x3 values expected, 13 given"));
}

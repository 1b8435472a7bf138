using BenchmarkDotNet.Attributes;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Times a convolution through the public API, one sampling step's worth at a time.</summary>
public class Conv2DBenchmark
{
    private Device _device = null!;
    private Tensor _x = null!;
    private Tensor _filter = null!;

    /// <summary>Where to run.</summary>
    [Params("cpu")]
    public string DeviceId { get; set; } = "cpu";

    /// <summary>Image height and width in pixels; channels in and out are 2048 divided by it, as in a U-Net of width 64.</summary>
    [Params(32, 16, 8, 4)]
    public int Size { get; set; }

    /// <summary>Makes the tensors.</summary>
    [GlobalSetup]
    public void Setup()
    {
        int channels = 2048 / Size;
        _device = Device.Open(DeviceId);
        _x = _device.NewTensor([16, Size, Size, channels], Numbers(16 * Size * Size * channels));
        _filter = _device.NewTensor([channels, 3, 3, channels], Numbers(channels * 9 * channels));
    }

    /// <summary>One 3x3 convolution of a batch of 16.</summary>
    [Benchmark]
    public void Forward()
    {
        using var tape = _device.NewTape(recording: false);
        tape.Conv2D(_x, _filter);
    }

    /// <summary>Frees the tensors.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _x.Dispose();
        _filter.Dispose();
        _device.Dispose();
    }

    private static float[] Numbers(int count)
    {
        var random = new Random(1);
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++)
            numbers[i] = random.NextSingle() - 0.5f;
        return numbers;
    }
}

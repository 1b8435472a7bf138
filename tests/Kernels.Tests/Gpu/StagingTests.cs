namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>How often tensors are copied to become operands of tiles: kernels are listed, nothing is computed.</summary>
public sealed class StagingTests
{
    /// <summary>The gradient of the output is read by both gradients; in TF32 only what is no multiple of four wide is copied.</summary>
    [TestCase(Precision.Bf16, 8, 16, 2)] // and the input, for the filter
    [TestCase(Precision.Bf16, 5, 7, 2)]
    [TestCase(Precision.Tf32, 8, 7, 1)]
    [TestCase(Precision.Tf32, 8, 16, 0)]
    public void Gradient_of_the_output_is_packed_once(Precision precision, int channels, int filters, int packs)
    {
        var launched = new List<string>();
        using var device = new Device(GpuBackend.DescribeEmulator(), precision,
            device => new GpuBackend(device, launch => launched.Add(launch.Use.Name)));
        using var tape = device.NewTape();
        Tensor x = tape.New([2, 6, 6, channels]), filter = tape.New([filters, 3, 3, channels]);
        tape.Watch(x);
        tape.Watch(filter);
        var y = tape.Conv2D(x, filter);
        var dy = tape.New(y.Shape);
        launched.Clear();
        tape.Backward(y, dy);
        Assert.That(launched.Count(name => name.StartsWith("PackKernel", StringComparison.Ordinal)), Is.EqualTo(packs),
            string.Join("; ", launched));
    }
}

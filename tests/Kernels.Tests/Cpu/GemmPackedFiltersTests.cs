namespace Diffusion.Gpu.Kernels.Tests;

public sealed class GemmPackedFiltersTests
{
    [Test]
    public void Conv2D_uses_new_weights_after_they_changed()
    {
        using var device = Device.Open("cpu");
        using var x = device.NewTensor([1, 2, 2, 3]);
        using var filter = device.NewTensor([1, 1, 1, 3]);
        x.CopyFrom([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

        filter.CopyFrom([1, 0, 0]);
        Assert.That(Convolve(device, x, filter), Is.EqualTo([1f, 4, 7, 10]));
        Assert.That(Convolve(device, x, filter), Is.EqualTo([1f, 4, 7, 10]));
        filter.CopyFrom([0, 0, 2]);
        Assert.That(Convolve(device, x, filter), Is.EqualTo([6f, 12, 18, 24]));
    }

    [Test]
    public void A_filter_used_at_two_strides_is_packed_for_each()
    {
        var wide = new Conv2DShape(1, 4, 4, 1, 1, 2, 2, 1, 0, 0);
        var strided = wide with { Stride = 2 };
        using var device = Device.Open("cpu");
        using var filter = device.NewTensor([1, 2, 2, 1]);
        using var dy = device.NewTensor([9]);
        using var dx = device.NewTensor([1, 4, 4, 1]);
        filter.CopyFrom([1, 10, 100, 1000]);
        dy.CopyFrom([1, 1, 1, 1, 1, 1, 1, 1, 1]);
        for (int repeat = 0; repeat < 2; repeat++)
        {
            device.Backend.Conv2DBackwardInput(wide, dy, filter, new GradientTarget(dx, false));
            Assert.That(dx.ToArray(), Is.EqualTo([1f, 11, 11, 10, 101, 1111, 1111, 1010, 101, 1111, 1111, 1010, 100, 1100, 1100, 1000]));
            device.Backend.Conv2DBackwardInput(strided, dy, filter, new GradientTarget(dx, false));
            Assert.That(dx.ToArray(), Is.EqualTo([1f, 10, 1, 10, 100, 1000, 100, 1000, 1, 10, 1, 10, 100, 1000, 100, 1000]));
        }
    }

    private static float[] Convolve(Device device, Tensor x, Tensor filter)
    {
        using var tape = device.NewTape(recording: false);
        return tape.Conv2D(x, filter).ToArray();
    }
}

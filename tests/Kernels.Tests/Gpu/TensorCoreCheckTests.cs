using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>The comparison that every device with tensor cores passes before it is handed out.</summary>
[TestFixtureSource(typeof(TileGemmTests), nameof(TileGemmTests.Gpus))]
public sealed class TensorCoreCheckTests(string id, Precision precision)
{
    private Device Opened => TestDevices.Open(id, precision);

    [Test]
    public void Right_products_pass() => Assert.That(() => TensorCoreCheck.Run(Opened), Throws.Nothing);

    [Test]
    public void One_wrong_value_is_named_with_the_way_out([Values(0, 1, 2)] int product, [Values(float.NaN, 1e3f)] float wrong)
    {
        using var processor = Device.Open("cpu");
        float[][] expected = TensorCoreCheck.Compute(processor), results = [.. expected.Select(values => (float[])values.Clone())];
        results[product][^1] += wrong;
        Assert.That(() => TensorCoreCheck.Compare(Opened, results, expected), Throws.TypeOf<DeviceException>()
            .With.Message.Contains(id).And.Message.Contains($"value {expected[product].Length - 1} of a")
            .And.Message.Contains("use precision float32"));
    }
}

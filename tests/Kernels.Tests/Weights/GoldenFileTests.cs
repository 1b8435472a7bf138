using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests.Weights;

public sealed class GoldenFileTests
{
    [Test]
    public void Golden_file_yields_tensors_config_and_tolerances()
    {
        using var golden = GoldenFile.Open("ops/conv2d");
        string name = golden.Entries.Select(entry => entry.Name).First(entry => entry.EndsWith("/out", StringComparison.Ordinal));
        Assert.That(golden.Singles(name), Has.Length.EqualTo(golden.Shape(name).Aggregate((a, b) => a * b)));
        Assert.That(golden.Config.GetProperty("cases").GetProperty("k3_p1").GetProperty("bias").GetBoolean(), Is.True);
        Assert.That(golden.Tolerance(name, 0), Is.InRange(1e-9, 1e-3));
        Assert.That(golden.Tolerance(name, 1), Is.EqualTo(1));
    }

    [Test]
    public void Relative_deviation_is_infinite_when_only_one_side_is_finite()
    {
        float[] expected = [1, -4, float.NaN];
        Assert.That(GoldenFile.RelMax(new[] { 1f, -3f, float.NaN }, expected), Is.EqualTo(0.25));
        Assert.That(GoldenFile.RelMax(new[] { 1f, float.NaN, float.NaN }, expected), Is.EqualTo(double.PositiveInfinity));
        Assert.That(GoldenFile.RelMax(new double[] { 1, -4, 0 }, expected), Is.EqualTo(double.PositiveInfinity));
    }
}

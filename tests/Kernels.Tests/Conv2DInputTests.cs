using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>A convolution that reads its input from several places gives the bits of one that reads a copy in one piece.</summary>
[TestFixtureSource(nameof(Devices))]
public sealed class Conv2DInputTests(string id, Precision precision)
{
    private static IEnumerable<object[]> Devices => TestDevices.Fast.Select(id => new object[] { id, Precision.Float32 })
        .Concat(TileGemmTests.Gpus);

    private Device Opened => precision == Precision.Float32 ? TestDevices.Open(id) : TestDevices.Open(id, precision);

    /// <summary>A residual block: its first convolution and its shortcut see the same two tensors, so gradients are added.</summary>
    [TestCase(2, 8, 8, 64, 64, 64)]
    [TestCase(3, 4, 4, 192, 96, 96)]
    [TestCase(1, 7, 5, 48, 16, 20)]
    [TestCase(2, 3, 5, 5, 3, 7)]
    [TestCase(2, 16, 20, 32, 32, 16)]
    public void Concat_has_the_bits_of_a_joined_copy(int n, int h, int w, int a, int b, int k)
    {
        float[][] inputs = [Numbers(n * h * w * a, 1), Numbers(n * h * w * b, 2), Numbers(k * 9 * (a + b), 3), Numbers(k * (a + b), 4)];
        Shape[] shapes = [[n, h, w, a], [n, h, w, b], [k, 3, 3, a + b], [k, 1, 1, a + b]];
        float[][] joined = Run(inputs, shapes, (tape, t) => Conv2DInput.Concat(t[0], t[1]));
        float[][] copied = Run(inputs, shapes, (tape, t) => tape.Concat(t[0], t[1]));
        Assert.That(joined, Is.EqualTo(copied));
    }

    /// <summary>The output and the filter's gradient; the input's gradient is one sum instead of four, and rounded otherwise.</summary>
    [TestCase(2, 4, 4, 64, 64)]
    [TestCase(2, 3, 2, 192, 96)]
    [TestCase(1, 7, 5, 48, 20)]
    [TestCase(2, 3, 5, 5, 7)]
    public void NearestUpsample_has_the_bits_of_a_larger_copy(int n, int h, int w, int c, int k)
    {
        float[][] inputs = [Numbers(n * h * w * c, 1), Numbers(k * 9 * c, 2), Numbers(k * c, 3)];
        Shape[] shapes = [[n, h, w, c], [k, 3, 3, c], [k, 1, 1, c]];
        float[][] read = Run(inputs, shapes, (_, t) => Conv2DInput.NearestUpsample(t[0]));
        float[][] copied = Run(inputs, shapes, (tape, t) => tape.NearestUpsample(t[0]));
        Assert.That(read[0], Is.EqualTo(copied[0]), "y");
        Assert.That(read[2..], Is.EqualTo(copied[2..]), "gradients of the filters");
        double rounding = precision switch { Precision.Float32 => 1e-5, Precision.Tf32 => 2e-3, _ => 1e-2 };
        Assert.That(GoldenFile.RelMax<float, float>(read[1], copied[1]), Is.LessThan(rounding), "gradient of the input");
    }

    /// <returns>The result and all gradients.</returns>
    private float[][] Run(float[][] inputs, Shape[] shapes, Func<Tape, Tensor[], Conv2DInput> input)
    {
        using var tape = Opened.NewTape();
        Tensor[] t = [.. inputs.Select((values, i) => tape.Constant(shapes[i], values))];
        foreach (var tensor in t)
            tape.Watch(tensor);
        var x = input(tape, t);
        var y = tape.Conv2D(x, t[^1], residual: tape.Silu(tape.Conv2D(x, t[^2])));
        tape.Backward(y, tape.Constant(y.Shape, Numbers((int)y.Count, 5)));
        return [y.ToArray(), .. t.Select(tensor => tape.Gradient(tensor)!.ToArray())];
    }

    private static float[] Numbers(int count, int seed) => TileGemmTests.Numbers(count, seed);
}

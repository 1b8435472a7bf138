using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A training step of a small U-Net by the PTX of every kernel that it launches, against the processor's kernels.</summary>
public sealed class InterpretedTrainingTests
{
    private static readonly UnetOptions Network = new()
    {
        Dim = 16,
        DimMults = [1, 2],
        AttnHeads = [2],
        SelfCondition = true,
        Dropout = 0.1f,
    };

    [TestCase(Precision.Tf32, 0.01)]
    [TestCase(Precision.Bf16, 0.05)]
    public void Loss_and_gradients_match_the_processor(Precision precision, double tolerance)
    {
        using var processor = Device.Open("cpu");
        using var interpreted = InterpretedDevice.Open(precision);
        var (expectedLoss, expected) = Step(processor);
        var (loss, gradients) = Step(interpreted);
        Assert.That(loss, Is.EqualTo(expectedLoss).Within(tolerance * expectedLoss));
        // Every parameter by itself: one layer's gradient must not hide among larger ones.
        var deviations = gradients.Select(entry => (entry.Key, Deviation: Deviation(entry.Value, expected[entry.Key]))).ToList();
        TestContext.Out.WriteLine($"loss {loss}, {expectedLoss}; deviations up to {deviations.Max(entry => entry.Deviation):G2}");
        Assert.That(deviations.Where(entry => !(entry.Deviation < tolerance)), Is.Empty);
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Step(Device device)
    {
        using var unet = new Unet(device, Network, seed: 1);
        var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = 8, OffsetNoiseStrength = 0.1f });
        using var tape = device.NewTape();
        float[] pixels = [.. Enumerable.Range(0, 2 * 8 * 8 * 3).Select(i => MathF.Sin(i * i))];
        var loss = diffusion.Loss(tape, unet, tape.Constant([2, 8, 8, 3], pixels), seed: 3, microStep: 0);
        tape.Backward(loss);
        return (loss.ToArray()[0], unet.Parameters.All.Where(parameter => parameter.HasGradient)
            .ToDictionary(parameter => parameter.Name, parameter => parameter.Gradient!.ToArray()));
    }

    /// <summary>Of a gradient from another, relative to the other's length.</summary>
    private static double Deviation(float[] actual, float[] expected)
    {
        double squares = expected.Sum(x => (double)x * x);
        return Math.Sqrt(actual.Zip(expected, (a, e) => ((double)a - e) * ((double)a - e)).Sum() / squares);
    }
}

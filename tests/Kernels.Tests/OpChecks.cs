using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Compares an op on one device with the textbook reference of its cases.</summary>
internal sealed class OpChecks(Device device)
{
    /// <summary>The result, in inference and while recording, which may take different kernels.</summary>
    public void Result(OpCase opCase)
    {
        foreach (bool recording in new[] { false, true })
        {
            using (var tape = device.NewTape(recording))
            {
                var inputs = Inputs(tape, opCase);
                if (recording && opCase.InferenceOnly)
                {
                    Assert.That(() => opCase.Call(tape, inputs), Throws.InvalidOperationException.With.Message.Contains("does not record"));
                    continue;
                }
                float[] result = opCase.Call(tape, inputs).ToArray();
                double deviation = GoldenFile.RelMax<float, double>(result, opCase.Expected);
                Assert.That(deviation, Is.LessThanOrEqualTo(opCase.Tolerance), $"relative deviation, recording: {recording}");
                AssertUnchanged(opCase, inputs);
            }
            AssertNoStrayWrites(device);
        }
    }

    /// <summary>The gradient of every input that has one.</summary>
    public void Gradients(OpCase opCase)
    {
        var reference = opCase.Gradients;
        using (var tape = device.NewTape())
        {
            var inputs = Inputs(tape, opCase);
            Backward(tape, opCase, inputs, reference.Upstream);
            foreach (var expected in reference.Inputs)
            {
                float[] gradient = tape.Gradient(inputs[expected.Input])!.ToArray();
                Assert.That(expected.Fault(gradient, opCase.GradientTolerance, opCase.GradientFloor), Is.Null,
                    $"gradient of {opCase.Inputs[expected.Input].Name}");
            }
            AssertUnchanged(opCase, inputs);
        }
        AssertNoStrayWrites(device);
    }

    /// <summary>A second backward pass adds to the gradients of the first.</summary>
    public void Accumulation(OpCase opCase)
    {
        float[] first = opCase.Gradients.Upstream, second = [.. first.Reverse()];
        float[][] a = GradientsOf(opCase, first), b = GradientsOf(opCase, second), both = GradientsOf(opCase, first, second);
        for (int i = 0; i < both.Length; i++)
        {
            double scale = Math.Max(opCase.GradientFloor, a[i].Concat(b[i]).Max(Math.Abs));
            double deviation = both[i].Select((sum, j) => Math.Abs((double)sum - a[i][j] - b[i][j])).Max();
            Assert.That(deviation, Is.LessThanOrEqualTo(opCase.GradientTolerance * scale), $"gradient {i} of two passes");
        }
    }

    private float[][] GradientsOf(OpCase opCase, params float[][] upstreams)
    {
        using var tape = device.NewTape();
        var inputs = Inputs(tape, opCase);
        foreach (float[] upstream in upstreams)
            Backward(tape, opCase, inputs, upstream);
        return [.. opCase.Gradients.Inputs.Select(expected => tape.Gradient(inputs[expected.Input])!.ToArray())];
    }

    private static Tensor[] Inputs(Tape tape, OpCase opCase)
        => [.. opCase.Inputs.Select((input, i) => tape.Constant(input.Shape, opCase.Values[i]))];

    private static void Backward(Tape tape, OpCase opCase, Tensor[] inputs, float[] upstream)
    {
        for (int i = 0; i < inputs.Length; i++)
        {
            if (opCase.Inputs[i].HasGradient)
                tape.Watch(inputs[i]);
        }
        var result = opCase.Call(tape, inputs);
        tape.Backward(result, tape.Constant(result.Shape, upstream));
    }

    private static void AssertUnchanged(OpCase opCase, Tensor[] inputs)
    {
        for (int i = 0; i < inputs.Length; i++)
            Assert.That(inputs[i].ToArray(), Is.EqualTo(opCase.Values[i]), $"{opCase.Inputs[i].Name} was written to");
    }

    /// <summary>Fails where anything was written beside a tensor since the last call.</summary>
    public static void AssertNoStrayWrites(Device device)
        => Assert.That(device.TakeStrayWrites(), Is.Empty, $"writes beside a tensor on {device.Info.Id}");
}

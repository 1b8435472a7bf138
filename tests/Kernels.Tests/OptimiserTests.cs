using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Adam, gradient clipping and the moving average against PyTorch's and ema-pytorch's trajectories.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class OptimiserTests(string id)
{
    private const double Tolerance = 5e-6;
    private GoldenFile _golden = null!;

    private Device Opened => TestDevices.Open(id);

    [OneTimeSetUp]
    public void OpenGolden() => _golden = GoldenFile.Open("training/micro_optim");

    [OneTimeTearDown]
    public void CloseGolden()
    {
        _golden.Dispose();
        OpChecks.AssertNoStrayWrites(Opened);
    }

    [Test]
    public void Adam_follows_PyTorch()
    {
        var values = _golden.Singles("adam/params").Chunk(8).ToArray();
        var gradients = _golden.Singles("adam/grads").Chunk(8).ToArray();
        using var parameters = NewSet([8]);
        var parameter = parameters.All[0];
        parameter.Value.CopyFrom(values[0]);
        using var adam = new Adam(parameters, learningRate: 1e-3);
        for (int step = 0; step < gradients.Length; step++)
        {
            SetGradient(parameters, 0, gradients[step]);
            adam.Step();
            Assert.That(parameter.HasGradient, Is.False);
            AssertEach(parameter.Value, values[step + 1], $"after step {step + 1}");
        }
        AssertEach(parameters.StateOf(adam.FirstMoment, parameter), _golden.Singles("adam/exp_avg"), "first moment");
        AssertEach(parameters.StateOf(adam.SecondMoment, parameter), _golden.Singles("adam/exp_avg_sq"), "second moment");
    }

    [TestCase("clip_active", 1.0)]
    [TestCase("clip_inactive", 1.0)]
    [TestCase("clip_small", 1e-5)]
    public void Adam_clips_gradients_as_PyTorch(string name, double maxNorm)
    {
        using var parameters = NewSet([4, 3], [7], [2, 2, 2]);
        using var adam = new Adam(parameters, beta1: 0.5);
        for (int i = 0; i < 3; i++)
            SetGradient(parameters, i, _golden.Singles($"{name}/in.{i}"));
        adam.Step(maxNorm);
        Assert.That(adam.GradientNorm, Is.EqualTo(_golden.Doubles($"{name}/norm")[0]).Within(Tolerance * 100).Percent);
        for (int i = 0; i < 3; i++)
        {
            float[] half = Array.ConvertAll(_golden.Singles($"{name}/out.{i}"), g => g / 2);
            AssertEach(parameters.StateOf(adam.FirstMoment, parameters.All[i]), half, $"half the clipped gradient {i}");
        }
    }

    [TestCase("ema_trainer", 0.995, 10, 100)]
    [TestCase("ema_fast", 0.9, 1, 3)]
    public void Ema_follows_ema_pytorch(string name, double decay, int updateEvery, int updateAfterStep)
    {
        var online = _golden.Singles($"{name}/online").Chunk(5).ToArray();
        var expected = _golden.Singles($"{name}/ema").Chunk(5).ToArray();
        using ParameterSet trained = NewSet([5]), averaged = NewSet([5]);
        var ema = new Ema(trained, averaged, decay, updateEvery, updateAfterStep);
        for (int step = 0; step < online.Length; step++)
        {
            trained.All[0].Value.CopyFrom(online[step]);
            ema.Update();
            double deviation = GoldenFile.RelMax<float, float>(averaged.All[0].Value.ToArray(), expected[step]);
            Assert.That(deviation, Is.LessThanOrEqualTo(Tolerance), $"after update {step + 1}");
        }
        double[] decays = _golden.Doubles($"{name}/decay.f64");
        long[] steps = _golden.Integers($"{name}/decay_steps");
        Assert.That(steps.Select(ema.DecayAt), Is.EqualTo(decays).Within(2e-7));
    }

    private ParameterSet NewSet(params Shape[] shapes)
        => new(Opened, [.. shapes.Select((shape, i) => new Parameter($"p{i}", shape, trainable: true))]);

    private static void SetGradient(ParameterSet parameters, int index, float[] gradient)
    {
        parameters.EnsureGradients();
        parameters.All[index].Gradient!.CopyFrom(gradient);
        parameters.All[index].HasGradient = true;
    }

    /// <summary>Element by element, because gradients of very different sizes lie side by side.</summary>
    private static void AssertEach(Tensor actual, float[] expected, string what)
        => Assert.That(actual.ToArray(), Is.EqualTo(expected).Within(Tolerance * 100).Percent, what);
}

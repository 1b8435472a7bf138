using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>Adam, clipping and averaging of a few numbers, step by step, against PyTorch and ema-pytorch.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
internal sealed class OptimiserGoldenTests(string id)
{
    private const double Floor = 5e-6;
    private GoldenFile _golden = null!;

    private Device Device => TestDevices.Open(id);

    [OneTimeSetUp]
    public void Open() => _golden = GoldenFile.Open("training/micro_optim");

    [OneTimeTearDown]
    public void Close() => _golden.Dispose();

    [Test]
    public void Adam_walks_the_path_of_PyTorchs()
    {
        int[] shape = _golden.Shape("adam/params");
        float[] path = _golden.Singles("adam/params"), gradients = _golden.Singles("adam/grads");
        using var parameters = Parameters(out var weight, path.AsSpan(0, shape[1]));
        using var adam = new Adam(parameters, learningRate: 1e-3, beta1: 0.9, beta2: 0.99);
        var walked = new List<float>(path.Take(shape[1]));
        for (int step = 0; step + 1 < shape[0]; step++)
        {
            SetGradient(weight, gradients.AsSpan(step * shape[1], shape[1]));
            adam.Step();
            walked.AddRange(weight.Value.ToArray());
        }
        Assert.Multiple(() =>
        {
            Check("adam/params", [.. walked]);
            Check("adam/exp_avg", parameters.StateOf(adam.FirstMoment, weight).ToArray());
            Check("adam/exp_avg_sq", parameters.StateOf(adam.SecondMoment, weight).ToArray());
        });
    }

    [TestCase("clip_active", 1.0)]
    [TestCase("clip_inactive", 1.0)]
    [TestCase("clip_small", 1e-5)]
    public void Clipping_scales_as_PyTorchs(string name, double maxNorm)
    {
        float[][] gradients = [.. Enumerable.Range(0, 3).Select(i => _golden.Singles($"{name}/in.{i}"))];
        Parameter[] weights = [.. gradients.Select((g, i) => new Parameter($"w{i}", [g.Length]))];
        using var parameters = new ParameterSet(Device, weights);
        // Without decay of the first moment, that moment is the clipped gradient.
        using var adam = new Adam(parameters, beta1: 0);
        foreach (var (weight, gradient) in weights.Zip(gradients))
            SetGradient(weight, gradient);
        double norm = adam.MeasureGradient();
        adam.Step(maxNorm);
        Assert.Multiple(() =>
        {
            Assert.That(norm, Is.EqualTo(_golden.Singles($"{name}/norm")[0]).Within(Floor).Percent);
            for (int i = 0; i < 3; i++)
                Check($"{name}/out.{i}", parameters.StateOf(adam.FirstMoment, weights[i]).ToArray());
        });
    }

    [TestCase("ema_trainer", 0.995, 10, 100)]
    [TestCase("ema_fast", 0.9, 1, 3)]
    public void Average_follows_ema_pytorchs_after_every_update(string name, double decay, int every, int after)
    {
        int[] shape = _golden.Shape($"{name}/ema");
        float[] path = _golden.Singles($"{name}/online");
        using var online = Parameters(out var weight, path.AsSpan(0, shape[1]));
        using var average = Parameters(out var averaged, new float[shape[1]]);
        var ema = new Ema(online, average, decay, every, after);
        var followed = new List<float>();
        for (int update = 0; update < shape[0]; update++)
        {
            weight.Value.CopyFrom(path.AsSpan(update * shape[1], shape[1]));
            ema.Update();
            followed.AddRange(averaged.Value.ToArray());
        }
        Assert.Multiple(() =>
        {
            Check($"{name}/ema", [.. followed]);
            Assert.That(ema.Updates, Is.EqualTo(shape[0]));
        });
    }

    [Test]
    public void Decay_warms_up_as_ema_pytorchs()
    {
        using var parameters = Parameters(out _, [0f]);
        var ema = new Ema(parameters, parameters);
        double[] expected = _golden.Doubles("ema_trainer/decay.f64");
        long[] steps = _golden.Integers("ema_trainer/decay_steps");
        Assert.That(steps.Select(ema.DecayAt), Is.EqualTo(expected).Within(1e-6));
    }

    private ParameterSet Parameters(out Parameter weight, ReadOnlySpan<float> values)
    {
        weight = new Parameter("w", [values.Length]);
        var parameters = new ParameterSet(Device, [weight]);
        weight.Value.CopyFrom(values);
        return parameters;
    }

    /// <summary>Gives a parameter a gradient through an op that passes it on unchanged.</summary>
    private void SetGradient(Parameter weight, ReadOnlySpan<float> gradient)
    {
        using var tape = Device.NewTape();
        var sum = tape.Add(weight, tape.Constant(weight.Shape, new float[gradient.Length]));
        tape.Backward(sum, tape.Constant(weight.Shape, gradient));
    }

    private void Check(string name, float[] actual)
        => Assert.That(GoldenFile.RelMax<float, float>(actual, _golden.Singles(name)),
            Is.LessThanOrEqualTo(_golden.Tolerance(name, Floor)), name);
}

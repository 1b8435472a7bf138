using System.Text.Json;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>Runs of twenty steps that PyTorch made, with its images, times, noises and coin flips.</summary>
[TestFixtureSource(nameof(Runs))]
internal sealed class TrainingGoldenTests(string id, string name)
{
    /// <summary>The golden data's tolerances: of losses and norms, of weights by what they travelled, and of weights by norm.</summary>
    private const double OfLoss = 1e-5, OfTravel = 0.02, OfNorm = 1e-4;

    private readonly List<StepResult> _results = [];
    private GoldenFile _golden = null!;
    private TrainingState _state = null!;

    public static IEnumerable<object[]> Runs =>
        from device in TestDevices.Fast
        from run in new[] { "run_a_trainer_defaults", "run_b_warmup_lerp", "run_c_min_snr_x0" }
        select new object[] { device, run };

    [OneTimeSetUp]
    public void Train()
    {
        _golden = GoldenFile.Open("training/" + name);
        var config = _golden.Config;
        var ema = config.GetProperty("ema");
        var trainer = new TrainerOptions
        {
            GradientAccumulateEvery = config.GetProperty("accum").GetInt32(),
            TrainLr = config.GetProperty("lr").GetDouble(),
            MaxGradNorm = config.GetProperty("max_grad_norm").GetDouble(),
            EmaDecay = ema.GetProperty("beta").GetDouble(),
            EmaUpdateEvery = ema.GetProperty("update_every").GetInt32(),
        };
        int copies = ema.TryGetProperty("update_after_step", out var after) ? after.GetInt32() : 100;
        _state = new TrainingState(TestDevices.Open(id), UnetGolden.Options(_golden), trainer, copies);
        UnetWeights.Load(_state.Online, name, _golden.Entries, _golden.Singles, "init/");
        var size = config.GetProperty("hw");
        var diffusion = new GaussianDiffusion(OptionsJson.Read<DiffusionOptions>(config.GetProperty("gd").GetRawText()) with
        {
            ImageSize = new ImageSize(size[0].GetInt32(), size[1].GetInt32()),
        });
        for (int step = 0; step < config.GetProperty("steps").GetInt32(); step++)
        {
            int first = step * trainer.GradientAccumulateEvery;
            _results.Add(_state.Step(trainer.GradientAccumulateEvery, (tape, pass) => Loss(tape, diffusion, first + pass)));
        }
    }

    [OneTimeTearDown]
    public void Close()
    {
        _state.Dispose();
        _golden.Dispose();
    }

    [Test]
    public void Losses_are_PyTorchs()
        => Assert.That(GoldenFile.RelMax<float, double>(_results.Select(r => r.Loss).ToArray(), _golden.Doubles("loss.f64")),
            Is.LessThanOrEqualTo(_golden.Tolerance("loss", OfLoss)));

    [Test]
    public void Gradient_norms_are_PyTorchs()
        => Assert.That(GoldenFile.RelMax<float, double>(_results.Select(r => r.GradientNorm).ToArray(), _golden.Doubles("grad_norm.f64")),
            Is.LessThanOrEqualTo(_golden.Tolerance("grad_norm", OfLoss)));

    [Test]
    public void Final_weights_and_recorded_moments_are_PyTorchs()
    {
        CheckWeights(_state.Online, "final/");
        CheckMoment(_state.Adam.FirstMoment, "adam.exp_avg/");
        CheckMoment(_state.Adam.SecondMoment, "adam.exp_avg_sq/");
    }

    [Test]
    public void Averaged_weights_are_PyTorchs() => CheckWeights(_state.Average, "ema/");

    private Tensor Loss(Tape tape, GaussianDiffusion diffusion, int batch)
    {
        int[] shape = [.. _golden.Shape("in.img").Skip(2)];
        var draws = new TrainingDraws(Array.ConvertAll(Part(_golden.Integers("in.times"), batch), t => (int)t), Images("in.noise"))
        {
            SelfConditions = _golden.Config.GetProperty("random_values_for_self_condition") is { ValueKind: JsonValueKind.Array } coins
                && coins[batch].GetDouble() < 0.5,
        };
        return diffusion.Loss(tape, _state.Online, Images("in.img"), draws);

        Tensor Images(string tensor) => tape.Constant([shape[0], shape[2], shape[3], shape[1]],
            UnetGolden.ChannelsLast(Part(_golden.Singles(tensor), batch), shape));
    }

    /// <summary>One batch of an array [steps, passes, ..].</summary>
    private T[] Part<T>(T[] values, int batch)
    {
        int[] shape = _golden.Shape("in.times");
        int length = values.Length / (shape[0] * shape[1]);
        return values[(batch * length)..((batch + 1) * length)];
    }

    private void CheckWeights(Unet unet, string prefix) => Assert.Multiple(() =>
    {
        foreach (var (slot, parameter) in unet.Layout.Slots.Zip(unet.Parameters.All))
        {
            float[] actual = slot.ToFile(parameter.Value.ToArray()), expected = _golden.Singles(prefix + slot.Name);
            var (largest, norm) = Deviation(actual, expected);
            Assert.That(largest, Is.LessThanOrEqualTo(OfTravel * _golden.Scalar("max_param_travel")), slot.Name);
            Assert.That(norm, Is.LessThanOrEqualTo(OfNorm), slot.Name);
        }
    });

    /// <summary>Compares a moment with those that the run was recorded with: all parameters' or none.</summary>
    private void CheckMoment(Tensor moment, string prefix)
    {
        var unet = _state.Online;
        var trained = unet.Layout.Slots.Zip(unet.Parameters.All).Where(pair => pair.First.IsTrainable).ToArray();
        var recorded = trained.Where(pair => _golden.Contains(prefix + pair.First.Name)).ToArray();
        Assert.That(recorded, Has.Length.EqualTo(name == "run_b_warmup_lerp" ? trained.Length : 0));
        foreach (var (slot, parameter) in recorded)
        {
            float[] actual = slot.ToFile(unet.Parameters.StateOf(moment, parameter).ToArray());
            Assert.That(Deviation(actual, _golden.Singles(prefix + slot.Name)).Norm, Is.LessThanOrEqualTo(OfNorm), prefix + slot.Name);
        }
    }

    /// <summary>The largest difference, and the L2 norm of the differences over that of the expected values.</summary>
    private static (double Largest, double Norm) Deviation(float[] actual, float[] expected)
    {
        double largest = 0, difference = 0, magnitude = 0;
        foreach (var (got, wanted) in actual.Zip(expected))
        {
            // NaN must not pass for a small difference.
            double d = double.IsFinite(got) ? Math.Abs((double)got - wanted) : double.PositiveInfinity;
            largest = Math.Max(largest, d);
            difference += d * d;
            magnitude += (double)wanted * wanted;
        }
        return (largest, difference == 0 ? 0 : Math.Sqrt(difference / magnitude));
    }
}

using System.Text.Json.Nodes;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class RunOptionsTests
{
    [Test]
    public void Defaults_are_the_reference_trainers()
    {
        var json = new RunOptions().ToJson();
        var expected = JsonNode.Parse("""
            {
              "train-batch-size": 16, "gradient-accumulate-every": 1, "augment-horizontal-flip": true, "train-lr": 1e-4,
              "train-num-steps": 100000, "ema-update-every": 10, "ema-decay": 0.995, "adam-betas": [0.9, 0.99],
              "save-and-sample-every": 1000, "num-samples": 25, "convert-image-to": null, "max-grad-norm": 1,
              "dim": 64, "dim-mults": [1, 2, 4, 8], "channels": 3, "timesteps": 1000, "sampling-timesteps": null, "objective": "pred_v",
              "beta-schedule": "sigmoid", "min-snr-loss-weight": false, "min-snr-gamma": 5, "offset-noise-strength": 0, "immiscible": false,
              "self-condition": false, "learned-sinusoidal-cond": false, "random-fourier-features": false, "full-attn": null,
              "attn-heads": 4, "attn-dim-head": 32, "dropout": 0, "ddim-sampling-eta": 0, "auto-normalize": true
            }
            """)!.AsObject();
        Assert.Multiple(() =>
        {
            foreach (var (name, value) in expected)
                Assert.That(JsonNode.DeepEquals(json[name], value), $"{name} is {json[name]?.ToJsonString()}, not {value?.ToJsonString()}");
        });
    }

    [Test]
    public void Options_read_back_as_written()
        => Assert.That(RunOptions.Parse(TinyRun.Random.Write()).Write(), Is.EqualTo(TinyRun.Random.Write()));

    [Test]
    public void Given_values_lie_over_defaults_in_kebab_or_snake_case()
    {
        var options = RunOptions.Parse("""{"train-batch-size": 8, "train_lr": 2e-4, "dim-mults": [1, 2], "image-size": [16, 24]}""");
        var changed = RunOptions.FromJson(new JsonObject { ["seed"] = 5 }, options);
        Assert.Multiple(() =>
        {
            Assert.That(options.Trainer.TrainBatchSize, Is.EqualTo(8));
            Assert.That(options.Trainer.TrainLr, Is.EqualTo(2e-4));
            Assert.That(options.ImageTransform, Is.EqualTo(new Kernels.Images.ImageTransform(24, 16, 3)));
            Assert.That(changed.Trainer.Seed, Is.EqualTo(5));
            Assert.That(changed.Unet.DimMults, Is.EqualTo(options.Unet.DimMults));
        });
    }

    [Test]
    public void Unknown_names_are_listed()
        => Assert.That(() => RunOptions.Parse("""{"dimm": 8, "lr": 1, "dim": 8}"""), Throws.TypeOf<OptionsException>()
            .With.Message.Contains("dimm, lr").And.Message.Contains("unknown").And.Message.Contains("train-lr"));

    [TestCase("""{"dim": "wide"}""", "dim", "64")]
    [TestCase("""{"dim": null}""", "dim", "64")]
    [TestCase("""{"adam-betas": null}""", "adam-betas", "0.9")]
    [TestCase("""{"adam-betas": [0.9]}""", "adam-betas", "two numbers")]
    [TestCase("""{"adam-betas": [0.9, 1]}""", "adam-betas", "below 1")]
    [TestCase("""{"seed": -1}""", "seed", "0")]
    [TestCase("""{"objective": "pred_y"}""", "objective", "pred_v")]
    [TestCase("""{"train-batch-size": 0}""", "train-batch-size", "at least 1")]
    [TestCase("""{"gradient-accumulate-every": 0}""", "gradient-accumulate-every", "at least 1")]
    [TestCase("""{"train-num-steps": 0}""", "train-num-steps", "at least 1")]
    [TestCase("""{"train-num-steps": 5000000000}""", "train-num-steps", "at most")]
    [TestCase("""{"save-and-sample-every": -5}""", "save-and-sample-every", "at least 1")]
    [TestCase("""{"num-samples": 0}""", "num-samples", "at least 1")]
    [TestCase("""{"ema-update-every": 0}""", "ema-update-every", "at least 1")]
    [TestCase("""{"ema-decay": 1}""", "ema-decay", "below 1")]
    [TestCase("""{"train-lr": 0}""", "train-lr", "above 0")]
    [TestCase("""{"max-grad-norm": 0}""", "max-grad-norm", "above 0")]
    [TestCase("""{"convert-image-to": "CMYK"}""", "convert-image-to", "RGBA")]
    [TestCase("""{"convert-image-to": "L"}""", "convert-image-to", "3 channels")]
    [TestCase("""{"channels": 2}""", "channels", "4 (RGBA)")]
    [TestCase("""{"image-size": 30}""", "image-size", "divisible by 8")]
    [TestCase("""{"out-dim": 5}""", "out-dim", "3, for images")]
    [TestCase("""[1]""", "file", "JSON object")]
    [TestCase("""{"dim": """, "file", "JSON object")]
    public void Impossible_values_are_refused_by_name_with_what_is_possible(string json, string option, string wanted)
        => Assert.That(() => RunOptions.Parse(json), Throws.TypeOf<OptionsException>()
            .With.Property(nameof(OptionsException.Option)).EqualTo(option).And.Message.Contains(wanted));

    [Test]
    public void Continued_run_may_change_what_training_does_not_compute_with()
    {
        var changed = TinyRun.Plain with
        {
            Trainer = TinyRun.Plain.Trainer with { TrainNumSteps = 99, SaveAndSampleEvery = 3, NumSamples = 1 },
            Diffusion = TinyRun.Plain.Diffusion with { SamplingTimesteps = 5, DdimSamplingEta = 1 },
        };
        Assert.That(() => changed.CheckContinues(TinyRun.Plain), Throws.Nothing);
    }

    [TestCase("""{"seed": 12}""", "seed")]
    [TestCase("""{"train-batch-size": 8}""", "train-batch-size")]
    [TestCase("""{"train-lr": 1e-4}""", "train-lr")]
    [TestCase("""{"dropout": 0.5}""", "dropout")]
    [TestCase("""{"beta-schedule": "sigmoid"}""", "beta-schedule")]
    public void Continued_run_must_not_change_what_it_computes_with(string change, string option)
    {
        var changed = RunOptions.FromJson(JsonNode.Parse(change)!.AsObject(), TinyRun.Plain);
        Assert.That(() => changed.CheckContinues(TinyRun.Plain), Throws.TypeOf<OptionsException>()
            .With.Property(nameof(OptionsException.Option)).EqualTo(option).And.Message.Contains("begun"));
    }
}

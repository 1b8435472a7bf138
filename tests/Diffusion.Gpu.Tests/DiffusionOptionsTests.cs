namespace Diffusion.Gpu.Tests;

[TestFixture]
public class DiffusionOptionsTests
{
    [Test]
    public void Options_survive_json()
    {
        var options = new DiffusionOptions
        {
            ImageSize = new ImageSize(16, 24), Timesteps = 100, SamplingTimesteps = 10, Objective = Objective.PredX0,
            BetaSchedule = BetaSchedule.Cosine, DdimSamplingEta = 0.5f, MinSnrLossWeight = true,
        };
        string json = OptionsJson.Write(options);
        Assert.That(json, Does.Contain("\"objective\": \"pred_x0\"").And.Contain("\"beta_schedule\": \"cosine\""));
        Assert.That(OptionsJson.Read<DiffusionOptions>(json), Is.EqualTo(options));
        Assert.That(OptionsJson.Read<DiffusionOptions>("{\"image_size\": 64}").ImageSize, Is.EqualTo(new ImageSize(64, 64)));
    }

    private static IEnumerable<TestCaseData> Unusable()
    {
        yield return new TestCaseData(new DiffusionOptions { ImageSize = 0 }, "option image-size is 0x0, expected at least 1x1");
        yield return new TestCaseData(new DiffusionOptions { Timesteps = 0 }, "option timesteps is 0, expected at least 1");
        yield return new TestCaseData(new DiffusionOptions { BetaSchedule = BetaSchedule.Linear, Timesteps = 20 },
            "option timesteps is 20, expected at least 21 for a linear schedule");
        yield return new TestCaseData(new DiffusionOptions { SamplingTimesteps = 1001 },
            "option sampling-timesteps is 1001, expected 1 to");
        yield return new TestCaseData(new DiffusionOptions { DdimSamplingEta = 1.5f }, "option ddim-sampling-eta is 1.5, expected 0 to 1");
        yield return new TestCaseData(new DiffusionOptions { OffsetNoiseStrength = float.NaN }, "option offset-noise-strength is NaN");
        yield return new TestCaseData(new DiffusionOptions { MinSnrGamma = 0 }, "option min-snr-gamma is 0, expected more than 0");
    }

    [TestCaseSource(nameof(Unusable))]
    public void Options_name_what_cannot_be_used(DiffusionOptions options, string message)
        => Assert.That(() => new GaussianDiffusion(options), Throws.TypeOf<OptionsException>().With.Message.Contains(message));
}

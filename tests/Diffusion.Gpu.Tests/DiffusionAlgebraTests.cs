using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Tests;

[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class DiffusionAlgebraTests(string id)
{
    private const double Floor = 1e-5;

    private Device Device => TestDevices.Open(id);

    [Test]
    public void Maps_between_image_noise_and_velocity_match_the_reference()
    {
        using var golden = GoldenFile.Open("diffusion/algebra");
        using var tape = Device.NewTape(recording: false);
        var maps = DiffusionGolden.Process(golden).Maps;
        int[] times = DiffusionGolden.Times(golden, "in.t");
        Tensor Golden(string name) => UnetGolden.Image(tape, golden, name);
        Tensor image = Golden("in.x_start"), noise = Golden("in.noise"), noisy = Golden("in.x_t");
        const float Unlimited = float.PositiveInfinity;
        AssertNear(maps.Noisy(tape, image, noise, times), golden, "q_sample");
        AssertNear(maps.Velocity(tape, image, noise, times), golden, "predict_v");
        AssertNear(maps.Image(tape, Objective.PredNoise, noisy, noise, times, Unlimited), golden, "predict_start_from_noise");
        AssertNear(maps.Image(tape, Objective.PredV, noisy, noise, times, Unlimited), golden, "predict_start_from_v");
        AssertNear(maps.Noise(tape, noisy, image, times), golden, "predict_noise_from_start");
    }

    [TestCase(Objective.PredNoise, "pred_noise")]
    [TestCase(Objective.PredX0, "pred_x0")]
    [TestCase(Objective.PredV, "pred_v")]
    public void Predictions_match_the_reference(Objective objective, string name)
    {
        using var golden = GoldenFile.Open("diffusion/algebra");
        using var unet = DiffusionGolden.Network(Device, golden);
        using var tape = Device.NewTape(recording: false);
        var maps = DiffusionGolden.Process(golden).Maps;
        int[] times = DiffusionGolden.Times(golden, "in.t");
        var noisy = UnetGolden.Image(tape, golden, "in.x_t");
        var output = unet.Forward(tape, noisy, GaussianDiffusion.TimesOf(tape, times));
        var image = maps.Image(tape, objective, noisy, output, times, float.PositiveInfinity);
        var clamped = maps.Image(tape, objective, noisy, output, times, clamp: 1);
        AssertNear(image, golden, $"model_predictions.{name}.clip0_rederive0.pred_x_start");
        AssertNear(clamped, golden, $"model_predictions.{name}.clip1_rederive1.pred_x_start");
        AssertNear(maps.Noise(tape, noisy, clamped, times), golden, $"model_predictions.{name}.clip1_rederive1.pred_noise");
    }

    private static void AssertNear(Tensor actual, GoldenFile golden, string name)
        => Assert.That(UnetGolden.Deviation(actual, golden, name), Is.LessThanOrEqualTo(golden.Tolerance(name, Floor)), name);
}

using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Tests;

[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class DiffusionLossTests(string id)
{
    private const double LossFloor = 1e-6;
    private const double GradientFloor = 5e-5;

    private static readonly string[] Cases =
    [
        "0_pred_noise_linear_base", "1_pred_x0_cosine_minsnr_base", "2_pred_v_sigmoid_minsnr_base", "3_pred_v_sigmoid_offset",
        "4_pred_v_sigmoid_selfcond_used", "5_pred_noise_linear_selfcond_skipped",
    ];

    private Device Device => TestDevices.Open(id);

    [TestCaseSource(nameof(Cases))]
    public void Loss_and_gradients_match_the_reference(string name)
    {
        using var golden = GoldenFile.Open("diffusion/p_losses_" + name);
        AssertLoss(golden, DiffusionGolden.Process(golden), golden.Singles("loss")[0]);
    }

    /// <summary>The reference permutes the noise of the input only; a process that does not permute, given the permuted noise, tells what
    /// the loss is when the target follows.</summary>
    [Test]
    public void Immiscible_noise_is_permuted_for_input_and_target()
    {
        using var golden = GoldenFile.Open("diffusion/p_losses_6_pred_v_sigmoid_immiscible");
        var process = DiffusionGolden.Process(golden);
        int[] times = DiffusionGolden.Times(golden, "in.t");
        using var tape = Device.NewTape(recording: false);
        var images = UnetGolden.Image(tape, golden, "in.img");
        var noise = UnetGolden.Image(tape, golden, "in.noise");
        var draws = new TrainingDraws(times, noise);
        var clean = process.Normalise(tape, images);
        var permuted = process.Noise(tape, clean, draws);
        int[] assignment = DiffusionGolden.Times(golden, "noise_assignment");
        int length = (int)noise.Count / times.Length;
        float[] expected = [.. assignment.SelectMany(row => noise.ToArray()[(row * length)..((row + 1) * length)])];
        Assert.That(permuted.ToArray(), Is.EqualTo(expected));
        var noisy = process.Maps.Noisy(tape, clean, permuted, times);
        Assert.That(UnetGolden.Deviation(noisy, golden, "x_t"), Is.LessThanOrEqualTo(golden.Tolerance("x_t", 1e-5)));

        using var unet = DiffusionGolden.Network(Device, golden);
        var plain = DiffusionGolden.Process(golden, options => options with { Immiscible = false });
        float loss = process.Loss(tape, unet, images, draws).ToArray()[0];
        Assert.That(loss, Is.EqualTo(plain.Loss(tape, unet, images, draws with { Noise = permuted }).ToArray()[0]));
        Assert.That(loss, Is.Not.EqualTo(golden.Singles("loss")[0]).Within(1e-3f), "the reference's target has the noise unpermuted");
    }

    [Test]
    public void Loss_of_a_learned_variance_matches_the_reference()
    {
        using var golden = GoldenFile.Open("diffusion/learned_variance_loss");
        var process = DiffusionGolden.Process(golden, options => options with { Objective = Objective.PredNoise });
        AssertLoss(golden, process, golden.Doubles("loss_per_sample.f64").Average());
    }

    [Test]
    public void Bound_has_the_derivative_of_its_value()
    {
        var bound = new VariationalBound(NoiseSchedule.Cosine(50));
        foreach (int t in new[] { 0, 1, 20, 49 })
        {
            foreach (float clean in new[] { -1f, -0.3f, 0.9f, 1f })
            {
                const float Share = 0.125f, Step = 1f / 1024;
                double slope = (bound.Of(t, clean, 0.4, Share + Step).Bits - bound.Of(t, clean, 0.4, Share - Step).Bits) / (2 * Step);
                double tolerance = (1e-4 * Math.Abs(slope)) + 1e-9;
                Assert.That(bound.Of(t, clean, 0.4, Share).Derivative, Is.EqualTo(slope).Within(tolerance), $"{t}, {clean}");
            }
        }
    }

    [Test]
    public void Loss_repeats_when_seed_and_step_repeat()
    {
        using var unet = new Unet(Device, new UnetOptions { Dim = 8, DimMults = [1, 2], SelfCondition = true, Dropout = 0.1f }, seed: 3);
        var process = new GaussianDiffusion(new DiffusionOptions { ImageSize = 8, OffsetNoiseStrength = 0.1f });
        float[] images = [.. Enumerable.Range(0, 2 * 8 * 8 * 3).Select(i => i % 17 / 17f)];
        float Loss(ulong seed, uint step)
        {
            using var tape = Device.NewTape();
            return process.Loss(tape, unet, tape.Constant([2, 8, 8, 3], images), seed, step).ToArray()[0];
        }
        float first = Loss(5, 2);
        Assert.That(Loss(5, 2), Is.EqualTo(first));
        Assert.That(new[] { first, Loss(5, 3), Loss(6, 2) }, Is.Unique);
    }

    [Test]
    public void Process_refuses_networks_that_do_not_fit()
    {
        var process = new GaussianDiffusion(new DiffusionOptions { ImageSize = 6 });
        AssertRefused(process, new UnetOptions { Dim = 8, DimMults = [1, 2, 4] },
            "image-size is 6x6, expected a height and width divisible by 4");
        AssertRefused(process, new UnetOptions { Dim = 8, DimMults = [1, 2], OutDim = 5 }, "out-dim is 5, expected 3");
        AssertRefused(process, new UnetOptions { Dim = 8, DimMults = [1, 2], RandomFourierFeatures = true },
            "random-fourier-features is True");
    }

    private void AssertRefused(GaussianDiffusion process, UnetOptions options, string message)
    {
        using var unet = new Unet(Device, options, seed: 1);
        Assert.That(() => process.Options.CheckFits(unet.Options), Throws.TypeOf<OptionsException>().With.Message.Contains(message));
    }

    private void AssertLoss(GoldenFile golden, GaussianDiffusion process, double expected)
    {
        using var unet = DiffusionGolden.Network(Device, golden);
        using var tape = Device.NewTape();
        var draws = new TrainingDraws(DiffusionGolden.Times(golden, "in.t"), UnetGolden.Image(tape, golden, "in.noise"))
        {
            Offset = golden.Contains("in.offset_noise")
                ? tape.Constant(Shape.Create(golden.Shape("in.offset_noise")), golden.Singles("in.offset_noise"))
                : null,
            SelfConditions = DiffusionGolden.Number(golden, "random") < 0.5,
        };
        var loss = process.Loss(tape, unet, UnetGolden.Image(tape, golden, "in.img"), draws);
        double deviation = GoldenFile.RelMax<float, double>(loss.ToArray(), [expected]);
        Assert.That(deviation, Is.LessThanOrEqualTo(golden.Tolerance("loss", LossFloor)), "loss");
        tape.Backward(loss);
        var filed = golden.Entries.Where(e => e.Name.StartsWith("grad.", StringComparison.Ordinal)).Select(e => e.Name["grad.".Length..]);
        UnetGolden.AssertGradients(unet, golden, GradientFloor, filed);
    }
}

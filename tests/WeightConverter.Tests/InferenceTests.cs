using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;
using Diffusion.Gpu.WeightConverter.Maps;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Options are read off names, shapes and buffers.</summary>
public sealed class InferenceTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Unet_options_are_those_of_the_golden_networks([Values("a_dim8_m12_c1", "b_dim8_m1248_c3", "c_dim16_m12_selfcond",
        "d_dim8_m12_selfcond_none", "e_dim8_m122_learnedvar", "f_dim8_m12_learnedsinu", "g_dim8_m12_fourier",
        "h_dim32_m1_theta")] string name)
    {
        using var golden = GoldenFile.Open("unet/" + name);
        var expected = OptionsJson.Read<UnetOptions>(golden.Config.GetProperty("unet").GetRawText());
        Write("unet.safetensors", Unet.LayoutOf(expected), "");
        using var file = WeightFile.Open(_folder["unet.safetensors"]);
        var inferred = UnetInference.Infer(file, "");
        // These leave no trace in the weights.
        expected = expected with
        {
            SinusoidalPosEmbTheta = inferred.SinusoidalPosEmbTheta,
            LearnedSinusoidalCond = expected.LearnedSinusoidalCond || expected.RandomFourierFeatures,
            RandomFourierFeatures = false,
            LearnedSinusoidalDim = inferred.LearnedSinusoidalDim,
            // Full attention in the coarsest stage alone is what null means.
            FullAttn = expected.FullAttn is [false, true] ? null : expected.FullAttn,
        };
        Assert.That(OptionsJson.Write(inferred), Is.EqualTo(OptionsJson.Write(expected)));
        Assert.That(Unet.LayoutOf(inferred).Slots.Select(slot => (slot.Name, $"{slot.FileShape}")),
            Is.EqualTo(Unet.LayoutOf(expected).Slots.Select(slot => (slot.Name, $"{slot.FileShape}"))));
    }

    private static IEnumerable<UnetOptions> Networks() =>
    [
        new(),
        new() { Dim = 16, InitDim = 24, DimMults = [1, 3], Channels = 1, SelfCondition = true, LearnedVariance = true },
        new() { Dim = 8, DimMults = [1, 2, 2], AttnHeads = (int[])[1, 2, 4], AttnDimHead = (int[])[16, 8, 8],
            FullAttn = (bool[])[true, false, true] },
        new() { Dim = 8, DimMults = [2], Channels = 4, OutDim = 12 },
        new() { Dim = 8, DimMults = [1, 1], FullAttn = false, Channels = 4, LearnedVariance = true },
    ];

    [TestCaseSource(nameof(Networks))]
    public void Unet_options_come_back(UnetOptions options)
    {
        Write("unet.safetensors", Unet.LayoutOf(options), "model.");
        using var file = WeightFile.Open(_folder["unet.safetensors"]);
        Assert.That(OptionsJson.Write(UnetInference.Infer(file, "model.")), Is.EqualTo(OptionsJson.Write(options)));
    }

    [Test]
    public void Process_is_that_of_PyTorchs_buffers(
        [Values("linear_T1000", "cosine_T1000", "sigmoid_T1000", "linear_T100", "sigmoid_T20", "cosine_T15")] string schedule,
        [Values("pred_noise", "pred_x0", "pred_v")] string objective, [Values("plain", "minsnr_gamma5", "minsnr_gamma2.5")] string limit)
    {
        using var golden = GoldenFile.Open("diffusion/schedules");
        float[] betas = golden.Singles(schedule + "/betas"), weights = golden.Singles($"{schedule}/loss_weight.{objective}.{limit}");
        SafetensorsWriter.Write(_folder["process.safetensors"], new Dictionary<string, string>(),
        [
            TensorSource.Singles("betas", [betas.Length], betas), TensorSource.Singles("loss_weight", [weights.Length], weights),
        ]);
        using var file = WeightFile.Open(_folder["process.safetensors"]);
        var found = ProcessInference.Infer(file, "model.");
        Assert.Multiple(() =>
        {
            Assert.That($"{found.Schedule}_T{found.Timesteps}".ToLowerInvariant(), Is.EqualTo(schedule.ToLowerInvariant()));
            Assert.That(found.Objective,
                Is.EqualTo(Enum.Parse<Objective>(objective.Replace("_", "", StringComparison.Ordinal), ignoreCase: true)));
            Assert.That(found.Gamma, Is.EqualTo(limit switch { "plain" => (double?)null, "minsnr_gamma5" => 5, _ => 2.5 }));
        });
    }

    [Test]
    public void Schedule_with_other_constants_is_asked_for()
    {
        using var golden = GoldenFile.Open("diffusion/schedules");
        float[] betas = golden.Singles("sigmoid_T250_tau0.7/betas");
        SafetensorsWriter.Write(_folder["process.safetensors"], new Dictionary<string, string>(),
            [TensorSource.Singles("betas", [250], betas)]);
        using var file = WeightFile.Open(_folder["process.safetensors"]);
        Assert.That(ProcessInference.Infer(file, "model."), Is.EqualTo(new ProcessInference.Finding(250)));
    }

    [Test]
    public void What_is_missing_is_listed_at_once()
        => ToolRun.Bad(ExitCode.Input, ["state_dict.pt", "--image-size", "--timesteps", "--beta-schedule", "--objective"],
            "convert", Golden.Checkpoint("state_dict.pt"), _folder["out.safetensors"]);

    [Test]
    public void Prefixes_of_wrappers_are_seen_through([Values("module.", "model.module.", "_orig_mod.")] string prefix)
    {
        Write("wrapped.safetensors", Unet.LayoutOf(new UnetOptions { Dim = 8, DimMults = [1] }), prefix);
        ToolRun.Good("convert", _folder["wrapped.safetensors"], _folder["out.pt"]);
        using var file = WeightFile.Open(_folder["out.pt"]);
        Assert.That(file.Find("init_conv.weight"), Is.Not.Null);
    }

    private void Write(string name, WeightLayout layout, string prefix) => SafetensorsWriter.Write(
        _folder[name], new Dictionary<string, string>(), layout.Slots.Select(slot => TensorSource.Singles(
            prefix + slot.Name, slot.FileShape.Extents.ToArray(), new float[slot.FileShape.Count])));
}

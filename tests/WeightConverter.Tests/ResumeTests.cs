using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Training goes on where PyTorch left it.</summary>
public sealed class ResumeTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        Directory.CreateDirectory(_folder["images"]);
        for (int i = 0; i < 16; i++)
            PngWriter.Write(Path.Combine(_folder["images"], $"{i:00}.png"),
                new PixelImage(8, 8, 1, [.. Enumerable.Range(0, 64).Select(p => (byte)(p * i))]));
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public async Task Run_goes_on_with_the_references_weights_average_and_optimiser()
    {
        ToolRun.Good("convert", Golden.Checkpoint("model-trainer-zip.pt"), Path.Combine(_folder["run"], "model-13.safetensors"),
            "--image-size", "8");
        using var expected = GoldenFile.Open("checkpoints/trainer_expected");
        using var device = Device.Open("cpu");
        var options = Trainer.OptionsOf(_folder["run"]);
        options = options with { Trainer = options.Trainer with { TrainNumSteps = 15, NumSamples = 1 } };
        using var images = ImageDataset.Open(_folder["images"], options.ImageTransform);
        using (var trainer = Trainer.Resume(_folder["run"], images, device, options))
        {
            var state = trainer.State;
            Assert.That((trainer.Step, state.Adam.Steps, state.Ema.Updates), Is.EqualTo((13, 13, 13)));
            foreach (var (index, slot) in state.Online.Layout.Slots.Index())
            {
                float[] moment = state.Online.Parameters.StateOf(state.Adam.SecondMoment, state.Online.Parameters.All[index]).ToArray();
                Assert.That(slot.ToFile(moment), Is.EqualTo(expected.Singles($"opt/{index}/exp_avg_sq")), slot.Name);
                Assert.That(slot.ToFile(state.Average.Parameters.All[index].Value.ToArray()),
                    Is.EqualTo(expected.Singles("ema/ema_model.model." + slot.Name)), slot.Name);
            }
            var end = await trainer.RunAsync();
            Assert.That((end.Step, end.AdamSteps, end.EmaUpdates), Is.EqualTo((15, 15, 15)));
        }
        // Adam's first steps after a loss of its state would be as long as the step size, everywhere.
        using var back = Kernels.Weights.SafetensorsReader.Open(Checkpoint.Latest(_folder["run"])!.Path);
        float[] before = expected.Singles("model/model.final_conv.weight"), after = back.ReadSingles("model.final_conv.weight");
        Assert.That(after, Is.Not.EqualTo(before));
        Assert.That(after.Zip(before, (a, b) => Math.Abs(a - b)).Max(), Is.LessThan(2 * 1e-3));
    }

    [Test]
    public async Task Run_goes_on_from_weights_alone_with_a_fresh_optimiser()
    {
        ToolRun.Good("convert", Golden.Checkpoint("state_dict.pt"), Path.Combine(_folder["run"], "model-0.safetensors"),
            "--image-size", "8", "--timesteps", "50", "--beta-schedule", "sigmoid", "--objective", "pred_v");
        using var device = Device.Open("cpu");
        var options = Trainer.OptionsOf(_folder["run"]);
        options = options with { Trainer = options.Trainer with { TrainNumSteps = 1, NumSamples = 1 } };
        using var images = ImageDataset.Open(_folder["images"], options.ImageTransform);
        using var trainer = Trainer.Resume(_folder["run"], images, device, options);
        Assert.That(trainer.State.Adam.SecondMoment.ToArray(), Is.All.Zero);
        Assert.That((await trainer.RunAsync()).AdamSteps, Is.EqualTo(1));
    }
}

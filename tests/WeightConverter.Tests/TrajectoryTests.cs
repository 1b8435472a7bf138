using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Samplers;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;
using Diffusion.Gpu.WeightConverter.Maps;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>A file in the layout of the reference's Trainer, with PyTorch's weights and PyTorch's buffers, is converted and sampled with
/// PyTorch's noise: every state of the trajectory is PyTorch's.</summary>
public sealed class TrajectoryTests
{
    private const double Floor = 2e-5;

    [TestCase("ddim_pred_v_sigmoid_T1000_S10", "sigmoid_T1000")]
    [TestCase("ddim_pred_noise_linear_T1000_S10", "linear_T1000")]
    [TestCase("ddpm_pred_noise_cosine_T15", "cosine_T15")]
    [TestCase("ddpm_pred_v_sigmoid_T20", "sigmoid_T20")]
    [TestCase("ddpm_pred_x0_linear_T25", "linear_T25")]
    [TestCase("ddim_selfcond_pred_v_sigmoid_T1000_S7_eta1", "sigmoid_T1000")]
    public void Converted_checkpoint_samples_the_golden_trajectory(string name, string schedule)
    {
        using var folder = new TemporaryFolder();
        using var golden = GoldenFile.Open("diffusion/sample_" + name);
        string objective = golden.Config.GetProperty("objective").GetString()!;
        WriteTrainerFile(folder["model-1.pt"], golden.Config.GetProperty("net").GetString()!, schedule, objective);
        ToolRun.Good("convert", folder["model-1.pt"], folder["model-1.safetensors"], "--image-size", "8");

        using var device = Device.Open("cpu");
        using var model = Checkpoint.OpenModel(folder["model-1.safetensors"], device);
        var options = model.Diffusion.Options;
        Assert.That($"{options.BetaSchedule}_T{options.Timesteps}".ToLowerInvariant(), Is.EqualTo(schedule.ToLowerInvariant()));
        Sampler sampler = golden.Config.TryGetProperty("sampling_timesteps", out var steps)
            ? new Ddim(model.Diffusion, steps.GetInt32(),
                golden.Config.TryGetProperty("ddim_sampling_eta", out var eta) ? eta.GetSingle() : 0)
            : new Ddpm(model.Diffusion);
        int[] shape = golden.Shape("imgs");
        var states = new List<float[]>();
        var watch = new SamplingWatch(Observe: state =>
        {
            using var tape = device.NewTape(recording: false);
            states.Add(model.Diffusion.Denormalise(tape, state).ToArray());
        });
        using var images = sampler.Sample(model.Unet, shape[0], new RecordedNoise(golden), watch);
        Assert.That(states, Has.Count.EqualTo(shape[1]));
        int length = states[0].Length / shape[0];
        float[] all = [.. Enumerable.Range(0, shape[0]).SelectMany(n => states.SelectMany(state => state.Skip(n * length).Take(length)))];
        Assert.That(GoldenFile.RelMax<float, float>(all, RecordedNoise.ChannelsLast(golden.Singles("imgs"), shape)),
            Is.LessThanOrEqualTo(golden.Tolerance("imgs", Floor)));
        Assert.That(GoldenFile.RelMax<float, float>(images.ToArray(),
            RecordedNoise.ChannelsLast(golden.Singles("final"), golden.Shape("final"))),
            Is.LessThanOrEqualTo(golden.Tolerance("final", Floor)));
    }

    /// <summary>Writes step, model and ema as the reference does; the average has the weights, the model others.</summary>
    private static void WriteTrainerFile(string path, string net, string schedule, string objective)
    {
        using var nets = GoldenFile.Open("diffusion/nets");
        using var schedules = GoldenFile.Open("diffusion/schedules");
        SavedDictionary model = new(ordered: true), ema = new(ordered: true);
        ema["initted"] = TensorSource.Bytes("initted", ElementType.Bool, [], new byte[] { 1 });
        ema["step"] = TensorSource.Integers("step", [], new[] { 1L });
        foreach (var (name, _) in TrainerMap.Buffers(new GaussianDiffusion(new DiffusionOptions())))
        {
            string stored = name == "loss_weight" ? $"{schedule}/loss_weight.{objective}.plain" : $"{schedule}/{name}";
            var buffer = TensorSource.Singles(name, schedules.Shape(stored), schedules.Singles(stored));
            model[name] = buffer;
            ema["ema_model." + name] = buffer;
        }
        foreach (var entry in nets.Entries.Where(entry => entry.Name.StartsWith(net + "/", StringComparison.Ordinal)))
        {
            string name = entry.Name[(net.Length + 1)..];
            float[] values = nets.Singles(entry.Name);
            ema["ema_model.model." + name] = TensorSource.Singles(name, [.. entry.Shape], values);
            model["model." + name] = TensorSource.Singles(name, [.. entry.Shape], Array.ConvertAll(values, value => 2 * value));
        }
        TorchWriter.WriteZip(path, new SavedDictionary { ["step"] = 1, ["model"] = model, ["ema"] = ema, ["scaler"] = null });
    }

    /// <summary>The noise of a golden file: in.noise [draws, N, C, H, W].</summary>
    private sealed class RecordedNoise(GoldenFile golden) : INoiseSource
    {
        private readonly float[] _values = ChannelsLast(golden.Singles("in.noise"), golden.Shape("in.noise"));

        public Tensor Draw(Tape tape, Shape shape, int draw)
            => tape.Constant(shape, _values.AsSpan(draw * (int)shape.Count, (int)shape.Count));

        /// <summary>[.., C, H, W] to [.., H, W, C].</summary>
        public static float[] ChannelsLast(float[] values, int[] shape)
        {
            int channels = shape[^3], pixels = shape[^2] * shape[^1];
            var result = new float[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                int image = i / (channels * pixels), channel = i / pixels % channels, pixel = i % pixels;
                result[(((image * pixels) + pixel) * channels) + channel] = values[i];
            }
            return result;
        }
    }
}

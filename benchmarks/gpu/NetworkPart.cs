using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Whole networks as their users run them.</summary>
internal static class NetworkPart
{
    private const int SamplingSteps = 8;

    /// <summary>A training step as the trainer takes it: upload, loss, gradients, clipping, Adam, average. The loss is read.</summary>
    public static void Train(GpuRun run, (string Name, UnetOptions Options, int Image, int Batch) network)
        => ForEachPrecision(run, "training", network.Name, (device, row) =>
        {
            using var unet = new Unet(device, network.Options, seed: 0);
            using var average = new Unet(device, network.Options, seed: 0);
            var step = NewStep(device, unet, average, network.Image, network.Batch);
            using (step.Adam)
                return Timed(run, device, row with { Name = $"batch {network.Batch}", Images = network.Batch }, _ => step.Take());
        });

    /// <summary>A step of DDIM: the network once, and the next state from its result.</summary>
    public static void Sample(GpuRun run, (string Name, UnetOptions Options, int Image, int Batch) network)
        => ForEachPrecision(run, "sampling", network.Name, (device, row) =>
        {
            using var unet = new Unet(device, network.Options, seed: 0);
            var sampler = new Ddim(new GaussianDiffusion(new DiffusionOptions { ImageSize = network.Image }), SamplingSteps);
            var timed = Timed(run, device, row with { Name = $"batch {network.Batch}", Images = network.Batch },
                _ => sampler.Sample(unet, network.Batch, seed: 0).Dispose());
            return timed with { Seconds = timed.Seconds / SamplingSteps, Least = timed.Least / SamplingSteps };
        });

    /// <summary>Features of prepared images that lie on the device.</summary>
    public static void Inception(GpuRun run)
        => ForEachPrecision(run, "inception", "inception", (device, row) =>
        {
            int batch = run.InceptionBatch.Network;
            using var network = new InceptionV3(device, InceptionWeights.Hash());
            using var images = device.NewTensor([batch, InceptionV3.ImageSize, InceptionV3.ImageSize, 3]);
            device.Backend.FillUniform(new RandomKey(1, 0, 0), images);
            return Timed(run, device, row with { Name = $"batch {batch}", Images = batch }, _ =>
            {
                using var tape = device.NewTape(recording: false);
                network.Features(tape, images);
            });
        });

    /// <summary>What one training step of a network needs.</summary>
    public static (Adam Adam, Action Take) NewStep(Device device, Unet unet, Unet average, int image, int batch)
    {
        var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = image });
        var adam = new Adam(unet.Parameters);
        var ema = new Ema(unet.Parameters, average.Parameters);
        float[] images = [.. Enumerable.Range(0, batch * image * image * 3).Select(i => (i * 31 % 256) / 255f)];
        uint step = 0;
        return (adam, () =>
        {
            using var tape = device.NewTape();
            var loss = diffusion.Loss(tape, unet, tape.Constant([batch, image, image, 3], images), seed: 0, step++);
            tape.Backward(loss);
            if (!float.IsFinite(loss.ToArray()[0]) || !double.IsFinite(adam.MeasureGradient()))
                throw new InvalidOperationException($"the loss or the gradient of step {step} is not finite");
            adam.Step(maxNorm: 1);
            ema.Update();
        });
    }

    private static GpuRow Timed(GpuRun run, Device device, GpuRow row, Action<int> launch)
    {
        var time = run.NewTimer(device).Measure(launch);
        return row with { Seconds = time.Median, Least = time.Least, PeakBytes = device.Memory.Peak };
    }

    private static void ForEachPrecision(GpuRun run, string part, string network, Func<Device, GpuRow, GpuRow> measure)
    {
        foreach (var precision in run.Precisions)
        {
            string title = $"{part} {network}, {GpuRun.NameOf(precision)}";
            if (run.IsOver)
            {
                run.RanOut(title);
                continue;
            }
            using var device = run.Open(precision);
            run.Results.Rows.Add(measure(device, new GpuRow(part, network, "", "", GpuRun.NameOf(precision))));
            run.NoteKernels(title, device);
        }
    }
}

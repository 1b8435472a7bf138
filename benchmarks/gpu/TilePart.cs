using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>What measured tiles gain over counted ones: the convolutions of the first U-Net before and after a tuning run.</summary>
internal static class TilePart
{
    /// <summary>Sums of a network's passes by counted and by tuned tiles, in each precision that has a choice.</summary>
    public static void Run(GpuRun run)
    {
        var (name, options, image, batch) = run.Unets[0];
        var layers = NetworkConvolution.Count(NetworkConvolution.OfUnet(options, image, batch)).ToList();
        foreach (var precision in run.Precisions.Where(precision => precision != Precision.Float32))
        {
            string title = $"tiles {name}, {GpuRun.NameOf(precision)}";
            // A folder of its own: what was tuned on this machine before must not be found, and nothing stays behind.
            var folder = Directory.CreateTempSubdirectory("diffusion-tiles-");
            try
            {
                using var device = run.Open(precision, folder.FullName);
                if (Sums(run, device, name, layers) is not { } counted)
                {
                    run.RanOut(title, "within the sum by counted tiles");
                    continue;
                }
                device.Tune(() => Step(run, device, options, image, batch), _ =>
                {
                    if (run.IsOver)
                        throw new OperationCanceledException($"out of time while tuning {title}");
                });
                if (Sums(run, device, name, layers) is not { } tuned)
                {
                    run.RanOut(title, "after tuning");
                    continue;
                }
                foreach (var (pass, seconds) in counted)
                {
                    run.Results.Rows.Add(new GpuRow("tiles", name, "counted", pass, GpuRun.NameOf(precision)) { Seconds = seconds });
                    run.Results.Rows.Add(new GpuRow("tiles", name, "tuned", pass, GpuRun.NameOf(precision)) { Seconds = tuned[pass] });
                }
                run.NoteKernels(title, device);
            }
            catch (OperationCanceledException)
            {
                run.RanOut(title, "while tuning");
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }
        if (run.Precisions.All(precision => precision == Precision.Float32))
            run.Results.Facts.Add("there is one tile in float32, so nothing to tune");
    }

    /// <summary>Seconds of each pass, all layers as often as the network has them; null where time ran out.</summary>
    private static Dictionary<string, double>? Sums(GpuRun run, Device device, string network,
        List<(NetworkConvolution Layer, int Times)> layers)
    {
        var sums = new Dictionary<string, double>();
        foreach (var (layer, times) in layers)
        {
            if (run.IsOver)
                return null;
            foreach (var row in ConvolutionPart.Measure(run, device, network, layer, times, gradients: true))
                sums[row.Pass] = sums.GetValueOrDefault(row.Pass) + (row.Times * row.Seconds);
        }
        return sums;
    }

    private static void Step(GpuRun run, Device device, UnetOptions options, int image, int batch)
    {
        using var unet = new Unet(device, options, seed: 0);
        var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = image });
        using var tape = device.NewTape();
        tape.Backward(diffusion.Loss(tape, unet, tape.Constant([batch, image, image, 3], new float[batch * image * image * 3]),
            seed: 0, microStep: 0));
    }
}

using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli;

/// <summary>Finds the fastest tile of every product of the networks on the devices of this machine.</summary>
internal static class TileTuningRun
{
    private const int Batch = 16;
    private static readonly int[] ImageSizes = [32, 64];

    /// <summary>Tunes every device that multiplies on tensor cores, in each precision that does.</summary>
    /// <exception cref="DeviceException">A device fails.</exception>
    public static void Run(IReadOnlyList<DeviceInfo> devices, TextWriter error, DisplayMode mode)
    {
        using var status = new StatusLine(error, mode);
        var choices = (from device in devices
                       where device.Problem is null
                       from precision in device.Precisions
                       where precision != Precision.Float32
                       select (device.Id, precision)).ToList();
        if (choices.Count == 0)
            status.Line("no device here multiplies on tensor cores; other devices have one tile");
        foreach (var (id, precision) in choices)
        {
            int known = 0;
            using var device = Device.Open(id, precision);
            device.Tune(() => Work(device), count =>
            {
                known = count;
                status.Rewrite(double.NaN, $"{id}, {precision}: {count} products");
            });
            status.Line($"{id}, {precision}: the fastest tiles of {known} products are kept in {CacheFolder.Kernels}");
        }
    }

    private static void Work(Device device)
    {
        foreach (int size in ImageSizes)
        {
            using var unet = new Unet(device, new UnetOptions(), seed: 0);
            var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = size });
            using var tape = device.NewTape();
            tape.Backward(diffusion.Loss(tape, unet, tape.Constant([Batch, size, size, 3], new float[Batch * size * size * 3]),
                seed: 0, microStep: 0));
        }
        using var network = new InceptionV3(device, InceptionWeights.Hash());
        using var inference = device.NewTape(recording: false);
        const int Values = Batch * InceptionV3.ImageSize * InceptionV3.ImageSize * 3;
        network.Features(inference, inference.Constant([Batch, InceptionV3.ImageSize, InceptionV3.ImageSize, 3], new float[Values]));
    }
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Cli;

/// <summary>What the kernels of a first denoising step cost a device, and what they cost when an earlier run has compiled them.</summary>
/// <param name="Cold">With an empty folder of compiled kernels; the driver's own cache is as it is.</param>
/// <param name="Warm">Once more, on the device opened anew.</param>
internal sealed record FirstUse(KernelLoads Cold, KernelLoads Warm)
{
    /// <summary>Runs a tiny network twice, in the device's fastest precision.</summary>
    /// <exception cref="DeviceException">The device fails.</exception>
    public static FirstUse Measure(DeviceInfo device)
    {
        string folder = Directory.CreateTempSubdirectory("diffusion-kernels-").FullName;
        try
        {
            return new FirstUse(Run(device, folder), Run(device, folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The times in words.</summary>
    public string Describe()
        => $"{Cold.Count} kernels for a first denoising step: {Seconds(Cold.Compiling)} s to compile and {Seconds(Cold.Driver)} s "
            + $"in the driver, then from disk {Seconds(Warm.Compiling)} s and {Seconds(Warm.Driver)} s";

    private static KernelLoads Run(DeviceInfo info, string folder)
    {
        const int Size = 16;
        using var device = Device.Open(info.Id, info.Precisions[^1], folder);
        using var unet = new Unet(device, new UnetOptions { Dim = 8, DimMults = [1, 2] }, seed: 0);
        using (var tape = device.NewTape(recording: false))
            unet.Forward(tape, tape.Constant([1, Size, Size, 3], new float[Size * Size * 3]), tape.Constant([1], [0.5f]));
        device.Synchronize();
        return device.Kernels;
    }

    private static string Seconds(TimeSpan time) => $"{time.TotalSeconds:0.00}";
}

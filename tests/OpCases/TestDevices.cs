namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>The devices that tests run on, opened once each and guarded against stray writes.</summary>
public static class TestDevices
{
    /// <summary>Every device that tests look for.</summary>
    public static IReadOnlyList<string> Wanted { get; } = ["cpu", "opencl:0", "cuda:0", "emulator"];

    private static readonly Dictionary<string, Device> Opened = [];

    /// <summary>All devices of this machine, the kernel emulator for tiny cases included.</summary>
    public static IEnumerable<string> All => Wanted.Where(id => Problem(id) is null);

    /// <summary>The devices of this machine for cases of any size.</summary>
    public static IEnumerable<string> Fast => All.Where(id => id != "emulator");

    /// <summary>Why a device cannot be tested here, or null.</summary>
    public static string? Problem(string id)
    {
        var info = Device.List().FirstOrDefault(d => d.Id == id);
        return info is null ? "this machine has none" : info.Problem;
    }

    /// <summary>The device of an identifier.</summary>
    public static Device Open(string id)
    {
        if (Opened.TryGetValue(id, out var device))
            return device;
        device = Device.Open(id, Precision.Float32, kernelCache: "");
        device.Backend.Guard = new MemoryGuard(device.Backend);
        return Opened[id] = device;
    }

    /// <summary>A GPU whose products are in TF32 or BF16; where it has no tensor cores, kernels emulate them.</summary>
    public static Device Open(string id, Precision precision)
    {
        string key = $"{id} in {precision}";
        if (Opened.TryGetValue(key, out var device))
            return device;
        var info = Device.List().First(d => d.Id == id);
        device = new Device(info, precision, device => new GpuBackend(device));
        device.Backend.Guard = new MemoryGuard(device.Backend);
        return Opened[key] = device;
    }

    /// <summary>What was written beside a tensor since the last call; empty where nothing was.</summary>
    public static string TakeStrayWrites(this Device device)
    {
        var faults = device.Backend.Guard!.Faults;
        string found = string.Join("; ", faults);
        faults.Clear();
        return found;
    }

    /// <summary>Returns the devices and says which they were.</summary>
    public static string Close()
    {
        var lines = Opened.Select(entry => $"ran on {entry.Key}: {entry.Value.Info.Name}, {entry.Value.Info.Driver}").ToList();
        foreach (var device in Opened.Values)
            device.Dispose();
        Opened.Clear();
        return string.Join(Environment.NewLine, lines);
    }
}

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>The devices that tests run on, opened once each and guarded against stray writes.</summary>
internal static class TestDevices
{
    private static readonly Dictionary<string, Device> Opened = [];
    private static readonly SortedDictionary<string, string> Missing = [];

    /// <summary>Devices for cases of any size; fixtures take one each.</summary>
    public static string[] Fast { get; } = ["cpu", "opencl:0", "cuda:0"];

    /// <summary>All devices, the kernel emulator for tiny cases included.</summary>
    public static string[] All { get; } = [.. Fast, "emulator"];

    /// <summary>The device of an identifier; the test is skipped by name where this machine does not have it.</summary>
    public static Device Open(string id)
    {
        if (Opened.TryGetValue(id, out var device))
            return device;
        var info = Device.List().FirstOrDefault(d => d.Id == id);
        if (info is null || info.Problem is not null)
        {
            Missing[id] = info?.Problem ?? "not present";
            Assert.Ignore($"{id} is skipped: {Missing[id]}");
        }
        device = Device.Open(id);
        device.Backend.Guard = new MemoryGuard(device.Backend);
        return Opened[id] = device;
    }

    /// <summary>Fails where anything was written beside a tensor since the last call.</summary>
    public static void AssertNoStrayWrites(this Device device)
    {
        var faults = device.Backend.Guard!.Faults;
        string found = string.Join("; ", faults);
        faults.Clear();
        Assert.That(found, Is.Empty, $"writes beside a tensor on {device.Info.Id}");
    }

    /// <summary>Which devices ran and which were missing.</summary>
    public static string Report() => string.Join(Environment.NewLine,
        [.. Opened.Select(d => $"ran on {d.Key}: {d.Value.Info.Name}, {d.Value.Info.Driver}"), .. Missing.Select(m => $"skipped {m.Key}: {m.Value}")]);

    /// <summary>Returns the devices.</summary>
    public static void Close()
    {
        foreach (var device in Opened.Values)
            device.Dispose();
        Opened.Clear();
    }
}

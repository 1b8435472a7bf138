using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Kernels whose groups share more than the device has; the emulator shares the host's memory and has no limit.</summary>
[TestFixtureSource(nameof(Gpus))]
public sealed class SharedMemoryLimitTests(string id)
{
    private static IEnumerable<string> Gpus => TestDevices.All.Where(id => id is not "cpu" and not "emulator");

    [Test]
    public void Too_much_of_fixed_size_is_refused_in_one_line()
    {
        var refusal = Assert.Throws<DeviceException>(() => SharedMemoryTests.LaunchGigabyte(TestDevices.Open(id)))!;
        Assert.That(refusal.Message, Does
            .StartWith($"{id}: kernel SharedMemoryTests.Turn<Gigabyte> shares 1,073,741,824 bytes in a group, ")
            .And.Match(@"\d; use another device").And.Not.Contain("\n"));
    }
}

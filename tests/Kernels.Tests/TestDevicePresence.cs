using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Names the devices that a run leaves out.</summary>
public sealed class TestDevicePresence
{
    private static IEnumerable<string> Wanted => TestDevices.Wanted;

    [TestCaseSource(nameof(Wanted))]
    public void Device_takes_part_in_this_run(string id)
    {
        if (TestDevices.Problem(id) is { } problem)
            Assert.Ignore($"{id} is skipped: {problem}");
        Assert.That(TestDevices.Open(id).Info.Id, Is.EqualTo(id));
    }
}

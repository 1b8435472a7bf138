using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Says at the end of a run on which devices it was.</summary>
[SetUpFixture]
public sealed class TestRun
{
    [OneTimeTearDown]
    public void CloseDevices()
    {
        TestContext.Progress.WriteLine(TestDevices.Close());
    }
}

using Diffusion.Gpu.Kernels.OpCases;
using ILGPU;
using ILGPU.Runtime;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Kernels whose groups share more than the 48 KB that CUDA gives for the asking.</summary>
[TestFixtureSource(nameof(Gpus))]
public sealed class SharedMemoryTests(string id)
{
    private const int Values = 15_000;

    private static IEnumerable<string> Gpus => TestDevices.All.Where(id => id != "cpu");

    private GpuBackend Backend => (GpuBackend)TestDevices.Open(id).Backend;

    [Test]
    public void A_group_shares_60_KB_when_the_launch_asks_for_them()
    {
        float[] source = [.. Enumerable.Range(0, Values).Select(i => i + 0.5f)];
        using Tensor from = Backend.Device.NewTensor([Values], source), to = Backend.Device.NewTensor([Values]);
        if (id.StartsWith("opencl", StringComparison.Ordinal))
            Backend.Launcher.Launch(Turn<FixedSize>, Views(from, to), new Index3D(1, 1, 1));
        else
            Backend.Launcher.Launch(Turn<DynamicSize>, Views(from, to), new Index3D(1, 1, 1), dynamicSharedBytes: Values * sizeof(float));
        Assert.That(to.ToArray(), Is.EqualTo(source.Reverse()));
        OpChecks.AssertNoStrayWrites(Backend.Device);
    }

    /// <summary>Asks for a gigabyte in a group.</summary>
    internal static void LaunchGigabyte(Device device)
    {
        using Tensor from = device.NewTensor([1]), to = device.NewTensor([1]);
        ((GpuBackend)device.Backend).Launcher.Launch(Turn<Gigabyte>, Views(from, to), new Index3D(1, 1, 1));
    }

    private static Buffers Views(Tensor from, Tensor to) => new(GpuBackend.View(from), GpuBackend.View(to));

    public readonly record struct Buffers(ArrayView<float> From, ArrayView<float> To);

    public interface IReserve
    {
        static abstract ArrayView<float> Take();
    }

    public struct FixedSize : IReserve
    {
        public static ArrayView<float> Take() => SharedMemory.Allocate<float>(Values);
    }

    public struct DynamicSize : IReserve
    {
        public static ArrayView<float> Take() => SharedMemory.GetDynamic<float>();
    }

    public struct Gigabyte : IReserve
    {
        public static ArrayView<float> Take() => SharedMemory.Allocate<float>(1 << 28);
    }

    /// <summary>Turns a row around: every value is read by another thread than the one that shared it.</summary>
    public static void Turn<TReserve>(Buffers s)
        where TReserve : struct, IReserve
    {
        var shared = TReserve.Take();
        int count = (int)s.From.Length;
        for (int i = Group.IdxX; i < count; i += Launcher.GroupSize)
            shared[i] = s.From[i];
        Group.Barrier();
        for (int i = Group.IdxX; i < count; i += Launcher.GroupSize)
            s.To[i] = shared[count - 1 - i];
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>ILGPU kernels on CUDA, OpenCL or ILGPU's emulator.</summary>
internal sealed partial class GpuBackend(Device device) : Backend(device)
{
    public static IReadOnlyList<DeviceInfo> List() => [];

    public static DeviceInfo DescribeEmulator() => new("emulator", DeviceKind.Emulator, "ILGPU kernel emulator", 0, "ILGPU 1.5.3",
        [Precision.Float32], "not built yet");

    public override void Upload(ReadOnlySpan<float> source, Tensor destination) => throw new NotSupportedException();

    public override void Download(Tensor source, Span<float> destination) => throw new NotSupportedException();

    public override void Synchronize()
    {
    }

    protected override MemoryBlock AllocateBlock(long capacity) => throw new NotSupportedException();

    protected override void FreeBlock(MemoryBlock block)
    {
    }

    protected override void DisposeCore()
    {
    }
}

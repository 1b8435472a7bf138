using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels;

/// <summary>This machine's cores through SIMD instructions. Ops run to their end before they return.</summary>
internal sealed unsafe partial class CpuBackend(Device device) : Backend(device)
{
    public static DeviceInfo Describe() => new(
        "cpu", DeviceKind.Cpu, $"{Environment.ProcessorCount} cores, {RuntimeInformation.ProcessArchitecture}",
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, InstructionSet(), [Precision.Float32], null);

    public override void Upload(ReadOnlySpan<float> source, Tensor destination) => source.CopyTo(Span(destination));

    public override void Download(Tensor source, Span<float> destination) => Span(source).CopyTo(destination);

    public override void Synchronize()
    {
    }

    protected override MemoryBlock AllocateBlock(long capacity)
    {
        // The system promises more memory than there is and ends the process that takes it at its word: refuse before.
        long bytes = capacity * sizeof(float), present = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (Memory.Live + Memory.Pooled + bytes > present)
            throw OutOfMemory(bytes, null);
        void* pointer;
        try
        {
            pointer = NativePages.Allocate((nuint)bytes);
        }
        catch (OutOfMemoryException exception)
        {
            throw OutOfMemory(bytes, exception);
        }
        return new CpuBlock((float*)pointer, capacity);
    }

    protected override void FreeBlock(MemoryBlock block) => NativePages.Free(((CpuBlock)block).Pointer);

    protected override void DisposeCore()
    {
    }

    /// <summary>The address of a tensor's first value.</summary>
    internal static float* Pointer(Tensor tensor) => ((CpuBlock)tensor.Storage.Block).Pointer + tensor.Storage.Offset;

    /// <summary>The address of a slice's first value.</summary>
    internal static float* Pointer(in ChannelSlice slice) => Pointer(slice.Tensor) + slice.First;

    /// <summary>The address of a tensor's first value, null for no tensor.</summary>
    internal static float* PointerOrNull(Tensor? tensor) => tensor is null ? null : Pointer(tensor);

    /// <summary>A tensor's values.</summary>
    internal static Span<float> Span(Tensor tensor) => new(Pointer(tensor), checked((int)tensor.Count));

    private DeviceException OutOfMemory(long bytes, Exception? inner) => new("cpu",
        $"no memory for {bytes:N0} bytes beside the {Memory.Live:N0} in use", "use a smaller batch or a smaller model", inner);

    private static string InstructionSet()
        => Vector512.IsHardwareAccelerated ? "AVX-512" : Fma.IsSupported ? "AVX2" : AdvSimd.IsSupported ? "NEON" : "scalar";

    private sealed class CpuBlock(float* pointer, long capacity) : MemoryBlock
    {
        public float* Pointer { get; } = pointer;

        public override long Capacity { get; } = capacity;
    }
}

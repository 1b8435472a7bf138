using System.Runtime.CompilerServices;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Diffusion.Gpu.Kernels;

/// <summary>Compiles a kernel for a device, checks that the device can run it, and hands it to the driver.</summary>
/// <param name="accelerator">The device.</param>
/// <param name="device">Its identifier, for messages.</param>
internal sealed class KernelLoader(Accelerator accelerator, string device)
{
    /// <summary>Static shared memory that NVIDIA's compiler accepts: 48 KB on every device.</summary>
    private const int MostStaticSharedBytes = 48 * 1024;

    private readonly ILGPU.Backends.Backend _compiler = accelerator.GetBackend();

    private readonly int _sharedBytes = accelerator is CudaAccelerator cuda ? CudaDriver.SharedBytesOfGroup(cuda)
        : accelerator.MaxSharedMemoryPerGroup;

    /// <summary>Loads a kernel.</summary>
    /// <typeparam name="TLauncher">An action of stream, configuration and the kernel's arguments.</typeparam>
    /// <exception cref="DeviceException">Its groups share more memory than the device has.</exception>
    public TLauncher Load<TLauncher>(KernelUse use)
        where TLauncher : Delegate
    {
        var compiled = _compiler.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(use.Method),
            new KernelSpecialization(use.Threads, use.LeastGroups));
        CheckSharedMemory(use, EntryPointOf(compiled).SharedMemory.StaticSize);
        var kernel = accelerator.LoadKernel(compiled);
        if (kernel is CudaKernel cuda && use.DynamicSharedBytes > 0)
            CudaDriver.AllowDynamicSharedBytes(cuda, use.DynamicSharedBytes);
        return kernel.CreateLauncherDelegate<TLauncher>();
    }

    private void CheckSharedMemory(KernelUse use, int staticBytes)
    {
        long bytes = (long)staticBytes + use.DynamicSharedBytes;
        string? limit = bytes > _sharedBytes ? $"the device's groups have {_sharedBytes:N0}"
            : staticBytes > MostStaticSharedBytes && accelerator is CudaAccelerator
                ? $"CUDA takes {MostStaticSharedBytes:N0} of fixed size, more only as dynamic memory" : null;
        if (limit is not null)
        {
            throw new DeviceException(device, $"kernel {use.Name} shares {bytes:N0} bytes in a group, {limit}",
                "use another device, or precision float32");
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_EntryPoint")]
    private static extern EntryPoint EntryPointOf(CompiledKernel kernel);
}

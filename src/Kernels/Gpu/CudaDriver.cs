using System.Runtime.InteropServices;
using ILGPU.Runtime.Cuda;

namespace Diffusion.Gpu.Kernels;

/// <summary>The calls of NVIDIA's driver that ILGPU does not make. A group has up to 48 KB of shared memory for the asking, more only where
/// the kernel was allowed it.</summary>
internal static unsafe class CudaDriver
{
    /// <summary>CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN.</summary>
    private const int MostSharedBytes = 97;

    /// <summary>CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.</summary>
    private const int DynamicSharedBytes = 8;

    private static readonly Lazy<nint> Library = new(() => GpuBackend.LoadDriver("cuda"));

    /// <summary>Bytes that a group of the device can share, static and dynamic memory together.</summary>
    /// <exception cref="CudaException">The driver refuses to say.</exception>
    public static int SharedBytesOfGroup(CudaAccelerator accelerator)
    {
        int device, bytes;
        Check(((delegate* unmanaged<int*, int, int>)Export("cuDeviceGet"))(&device, accelerator.DeviceId));
        Check(((delegate* unmanaged<int*, int, int, int>)Export("cuDeviceGetAttribute"))(&bytes, MostSharedBytes, device));
        return bytes;
    }

    /// <summary>Lets a kernel be launched with this much dynamic shared memory; once, after it was loaded.</summary>
    /// <exception cref="CudaException">The device does not have that much.</exception>
    public static void AllowDynamicSharedBytes(CudaKernel kernel, int bytes)
        => Check(((delegate* unmanaged<nint, int, int, int>)Export("cuFuncSetAttribute"))(kernel.FunctionPtr, DynamicSharedBytes, bytes));

    private static nint Export(string name) => NativeLibrary.GetExport(Library.Value, name);

    private static void Check(int code) => CudaException.ThrowIfFailed((CudaError)code);
}

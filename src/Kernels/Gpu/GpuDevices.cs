using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Diffusion.Gpu.Kernels;

/// <summary>Which GPUs this machine has, and why it has none.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>Threads that every kernel's group may have, and bytes that it may share.</summary>
    private const int NeededThreads = 256;
    private const int NeededSharedBytes = 32 * 1024;

    private static readonly Lazy<IReadOnlyList<DeviceInfo>> Found = new(() => [.. ListCuda(), .. ListOpenCL()]);

    static GpuBackend()
    {
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, (name, _, _) => LoadDriver(name));
        }
        catch (InvalidOperationException)
        {
            // The application has its own idea of where the drivers lie.
        }
    }

    /// <summary>CUDA devices, then OpenCL devices; a kind without any has one entry that says what is missing.
    /// Found once a process.</summary>
    public static IReadOnlyList<DeviceInfo> List() => Found.Value;

    public static DeviceInfo DescribeEmulator() => new("emulator", DeviceKind.Emulator, "ILGPU's kernel emulator, for tests",
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, $"ILGPU {typeof(Context).Assembly.GetName().Version?.ToString(3)}",
        [Precision.Float32], null);

    /// <summary>The context of one kind of device. O2 turns local structs into registers; OpenCL does not compile without it.</summary>
    private static Context NewContext(DeviceKind kind) => Context.Create(builder =>
    {
        builder.Optimize(OptimizationLevel.O2).EnableAlgorithms();
        if (kind == DeviceKind.Cuda)
            builder.EnableTensorCores().Cuda();
        else if (kind == DeviceKind.OpenCL)
            builder.OpenCL(ClaimGenericAddressSpace);
        else
            builder.CPU(new CPUDevice(numThreadsPerWarp: 4, numWarpsPerMultiprocessor: NeededThreads / 4, numMultiprocessors: 1));
    });

    /// <summary>The context's devices of a kind; ILGPU slips a processor in where there is none.</summary>
    private static IEnumerable<ILGPU.Runtime.Device> Devices(Context context, DeviceKind kind)
    {
        var type = kind == DeviceKind.Cuda ? AcceleratorType.Cuda
            : kind == DeviceKind.OpenCL ? AcceleratorType.OpenCL : AcceleratorType.CPU;
        return context.Devices.Where(device => device.AcceleratorType == type);
    }

    private static ILGPU.Runtime.Device Select(Context context, DeviceInfo info)
    {
        int index = info.Kind == DeviceKind.Emulator ? 0 : int.Parse(info.Id[(info.Id.IndexOf(':') + 1)..], CultureInfo.InvariantCulture);
        return Devices(context, info.Kind).ElementAt(index);
    }

    private static IReadOnlyList<DeviceInfo> ListCuda()
    {
        var problem = ProbeCuda();
        return problem is not null ? [Absent(DeviceKind.Cuda, "NVIDIA GPU", problem)] : Describe(DeviceKind.Cuda, device =>
        {
            var cuda = (CudaDevice)device;
            return $"CUDA {cuda.DriverVersion.Major}.{cuda.DriverVersion.Minor}, {cuda.Architecture}";
        }, "the NVIDIA driver lists no device; in a container, start it with access to the GPU");
    }

    private static IReadOnlyList<DeviceInfo> ListOpenCL()
    {
        if (LoadDriver("OpenCL") == 0)
        {
            return [Absent(DeviceKind.OpenCL, "OpenCL device", "the OpenCL loader (libOpenCL.so.1, OpenCL.dll) was not found; "
                + "install ocl-icd-libopencl1 or the maker's driver")];
        }
        return Describe(DeviceKind.OpenCL, device =>
        {
            var cl = (CLDevice)device;
            return $"{cl.PlatformName}, {cl.DeviceVersion}, C {cl.CVersion}";
        }, "the OpenCL loader lists no device; install the maker's OpenCL driver, or pocl-opencl-icd to run on the processor");
    }

    private static IReadOnlyList<DeviceInfo> Describe(DeviceKind kind, Func<ILGPU.Runtime.Device, string> driver, string noneFound)
    {
        try
        {
            using var context = NewContext(kind);
            DeviceInfo[] found = [.. Devices(context, kind).Select((device, index) => new DeviceInfo(Id(kind, index), kind, device.Name,
                device.MemorySize, driver(device), Precisions(device), Problem(device)))];
            return found.Length > 0 ? found : [Absent(kind, $"{kind} device", noneFound)];
        }
        catch (Exception exception)
        {
            // A broken driver must not keep the other devices from being listed; its words are the entry's problem.
            return [Absent(kind, $"{kind} device", $"the driver fails while listing its devices ({DriverText(exception)})")];
        }
    }

    /// <summary>Tensor cores multiply TF32 and BF16 from compute capability 8.0 on.</summary>
    private static Precision[] Precisions(ILGPU.Runtime.Device device)
        => device is CudaDevice { Architecture: { } architecture } && architecture >= CudaArchitecture.SM_80
            ? [Precision.Float32, Precision.Tf32, Precision.Bf16] : [Precision.Float32];

    private static string? Problem(ILGPU.Runtime.Device device)
    {
        if (device.MaxNumThreadsPerGroup < NeededThreads)
            return $"its groups have at most {device.MaxNumThreadsPerGroup} threads, the kernels need {NeededThreads}";
        return device.MaxSharedMemoryPerGroup < NeededSharedBytes
            ? $"its groups share at most {device.MaxSharedMemoryPerGroup:N0} bytes, the kernels need {NeededSharedBytes:N0}"
            : null;
    }

    private static DeviceInfo Absent(DeviceKind kind, string name, string problem) => new(Id(kind, 0), kind, name, 0, "none", [], problem);

    private static string Id(DeviceKind kind, int index) => $"{(kind == DeviceKind.Cuda ? "cuda" : "opencl")}:{index}";

    /// <summary>
    /// ILGPU asks for OpenCL's generic address space, which some drivers (PoCL before version 5) do not claim. The portable kernels never
    /// use it, so every device is taken to have it.
    /// </summary>
    private static bool ClaimGenericAddressSpace(CLDevice device)
    {
        const BindingFlags AnyInstance = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        device.Capabilities.GetType().GetProperty("GenericAddressSpace", AnyInstance)!.SetValue(device.Capabilities, true);
        return true;
    }

    /// <summary>Starts the CUDA driver, and says what it answers if that fails.</summary>
    private static unsafe string? ProbeCuda()
    {
        nint driver = LoadDriver("cuda");
        if (driver == 0 || !NativeLibrary.TryGetExport(driver, "cuInit", out nint start))
            return "the NVIDIA driver (libcuda.so.1, nvcuda.dll) was not found; install it, or in a container start with access to the GPU";
        int code = ((delegate* unmanaged<uint, int>)start)(0);
        return code == 0 ? null : $"the NVIDIA driver does not start (cuInit answers error {code}"
            + (code == 100 ? ", no CUDA-capable device)" : "); check with nvidia-smi");
    }

    /// <summary>Finds a driver also where only the versioned file is installed, as driver packages do; 0 where there is none.</summary>
    internal static nint LoadDriver(string name)
    {
        string? file = name switch
        {
            "cuda" => OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1",
            "OpenCL" => OperatingSystem.IsWindows() ? "OpenCL.dll"
                : OperatingSystem.IsMacOS() ? "/System/Library/Frameworks/OpenCL.framework/OpenCL" : "libOpenCL.so.1",
            _ => null,
        };
        return file is not null && NativeLibrary.TryLoad(file, out nint handle) ? handle : 0;
    }
}

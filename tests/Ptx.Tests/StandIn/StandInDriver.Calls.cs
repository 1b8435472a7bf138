using System.Runtime.InteropServices;
using System.Text;
using ILGPU;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The driver's functions, as NVIDIA's "CUDA Driver API" describes them: those that ILGPU and the library call.</summary>
internal static unsafe partial class StandInDriver
{
    private const int Success = 0, InvalidValue = 1, OutOfMemory = 2, InvalidContext = 201, InvalidPtx = 218, NotFound = 500,
        LaunchFailed = 719;

    private const int DriverVersion = 12040;
    private const int DynamicSharedBytes = 8;

    /// <summary>Attributes of a device that are not zero: an H100's.</summary>
    private static readonly Dictionary<int, int> Attributes = new()
    {
        [1] = 1024, // threads of a group
        [2] = 1024, [3] = 1024, [4] = 64, // extents of a group
        [5] = int.MaxValue, [6] = ushort.MaxValue, [7] = ushort.MaxValue, // extents of a grid
        [8] = 48 * 1024, // shared memory of a group, unasked
        [9] = 64 * 1024, // constant memory
        [10] = 32, // threads of a warp
        [11] = int.MaxValue, // pitch of a copy
        [12] = 65536, // registers of a group
        [13] = 1_980_000, // kHz
        [16] = 132, // multiprocessors
        [19] = 1, // maps memory of the host
        [39] = 2048, // threads of a multiprocessor
        [40] = 3, // copy engines
        [75] = 9, [76] = 0, // compute capability
        [81] = 228 * 1024, // shared memory of a multiprocessor
        [82] = 65536, // registers of a multiprocessor
        [87] = 2, // single over double precision
        [97] = 227 * 1024, // shared memory of a group, on request
    };

    private static nint _errorText;

    [ThreadStatic]
    private static nint _context;

    [UnmanagedCallersOnly(EntryPoint = "cuInit")]
    private static int Init(int flags) => Success;

    [UnmanagedCallersOnly(EntryPoint = "cuDriverGetVersion")]
    private static int DriverGetVersion(int* version) => Give(version, DriverVersion);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetCount")]
    private static int DeviceGetCount(int* count) => Give(count, 1);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGet")]
    private static int DeviceGet(int* device, int ordinal) => ordinal == 0 ? Give(device, 0) : InvalidValue;

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetName")]
    private static int DeviceGetName(byte* name, int length, int device)
    {
        var target = new Span<byte>(name, length);
        target[Encoding.ASCII.GetBytes(Name, target)] = 0;
        return Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceTotalMem_v2")]
    private static int DeviceTotalMem(nint* bytes, int device) => Give(bytes, (nint)MemoryBytes);

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetAttribute")]
    private static int DeviceGetAttribute(int* value, int attribute, int device)
        => Give(value, Attributes.GetValueOrDefault(attribute));

    [UnmanagedCallersOnly(EntryPoint = "cuCtxCreate_v2")]
    private static int CtxCreate(nint* context, int flags, int device) => Answer(() =>
    {
        *context = _context = NewHandle("context");
        return Success;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDestroy_v2")]
    private static int CtxDestroy(nint context)
    {
        if (_context == context)
            _context = 0;
        return Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSetCurrent")]
    private static int CtxSetCurrent(nint context)
    {
        _context = context;
        return Success;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxSynchronize")]
    private static int CtxSynchronize() => AnswerInContext(() => Success);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetCacheConfig")]
    private static int CtxGetCacheConfig(int* config) => Give(config, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuCtxGetSharedMemConfig")]
    private static int CtxGetSharedMemConfig(int* config) => Give(config, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuGetErrorString")]
    private static int GetErrorString(int error, nint* text)
    {
        Marshal.FreeCoTaskMem(_errorText);
        _errorText = Marshal.StringToCoTaskMemUTF8($"error {error} of the {Name}: {Faults.LastOrDefault()}");
        return Give(text, _errorText);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemGetInfo_v2")]
    private static int MemGetInfo(nint* free, nint* total)
    {
        *free = (nint)(MemoryBytes - LiveBytes);
        return Give(total, (nint)MemoryBytes);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemAlloc_v2")]
    private static int MemAlloc(ulong* pointer, nint bytes) => AnswerInContext(() =>
    {
        if (bytes <= 0)
            return Refuse($"memory of {bytes} bytes");
        if (LiveBytes + bytes > MemoryBytes)
            return OutOfMemory;
        void* memory = NativeMemory.AlignedAlloc((nuint)bytes, 256);
        new Span<byte>(memory, checked((int)bytes)).Fill(0xFF);
        Allocations.Add((ulong)memory, bytes);
        LiveBytes += bytes;
        *pointer = (ulong)memory;
        return Success;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemFree_v2")]
    private static int MemFree(ulong pointer) => AnswerInContext(() =>
    {
        if (pointer == 0)
            return Success;
        if (!Allocations.Remove(pointer, out long bytes))
            return Refuse($"memory at {pointer:x} is freed, which was not allocated");
        LiveBytes -= bytes;
        NativeMemory.AlignedFree((void*)pointer);
        return Success;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAsync")]
    private static int MemcpyAsync(ulong destination, ulong source, nint bytes, nint stream) => AnswerInContext(() =>
    {
        if (stream == 0)
            return Refuse("a copy runs on the default stream");
        if (AllocationOf(destination) is null && AllocationOf(source) is null)
            return Refuse("a copy from the host to the host");
        if ((AllocationOf(destination) is not null && !IsDevice(destination, bytes))
            || (AllocationOf(source) is not null && !IsDevice(source, bytes)))
        {
            return Refuse($"a copy of {bytes} bytes passes the end of its memory");
        }
        new ReadOnlySpan<byte>((void*)source, checked((int)bytes)).CopyTo(new Span<byte>((void*)destination, (int)bytes));
        return Success;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreate")]
    private static int StreamCreate(nint* stream, int flags) => AnswerInContext(() => Give(stream, NewHandle("stream")));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamDestroy_v2")]
    private static int StreamDestroy(nint stream) => AnswerInContext(() => Success);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize")]
    private static int StreamSynchronize(nint stream) => AnswerInContext(() => Success);

    [UnmanagedCallersOnly(EntryPoint = "cuModuleLoadDataEx")]
    private static int ModuleLoadDataEx(nint* module, nint text, int options, int* kinds, nint* values) => AnswerInContext(() =>
    {
        string ptx = Marshal.PtrToStringUTF8(text)!;
        Modules.Add(ptx);
        try
        {
            return Give(module, NewHandle(PtxParser.Parse(Edit?.Invoke(ptx) ?? ptx)));
        }
        catch (PtxFaultException fault)
        {
            Faults.Add(fault.Message);
            return InvalidPtx;
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "cuModuleUnload")]
    private static int ModuleUnload(nint module) => AnswerInContext(() => Success);

    [UnmanagedCallersOnly(EntryPoint = "cuModuleGetFunction")]
    private static int ModuleGetFunction(nint* function, nint module, nint name) => AnswerInContext(() =>
    {
        var kernel = (PtxKernel)Handles[module];
        return Marshal.PtrToStringUTF8(name) == kernel.Name ? Give(function, NewHandle(new Function(kernel))) : NotFound;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuFuncSetAttribute")]
    private static int FuncSetAttribute(nint function, int attribute, int value) => AnswerInContext(() =>
    {
        if (attribute != DynamicSharedBytes || value > Attributes[97])
            return Refuse($"attribute {attribute} of a kernel set to {value}");
        ((Function)Handles[function]).AllowedBytes = value;
        return Success;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernel")]
    private static int LaunchKernel(nint function, int gridX, int gridY, int gridZ, int groupX, int groupY, int groupZ, int dynamicBytes,
        nint stream, nint* arguments, nint* extra)
        => AnswerInContext(() => Launch((Function)Handles[function], new Index3D(gridX, gridY, gridZ),
            new Index3D(groupX, groupY, groupZ), dynamicBytes, stream, extra));

    private static int Give<T>(T* target, T value)
        where T : unmanaged
    {
        *target = value;
        return Success;
    }
}

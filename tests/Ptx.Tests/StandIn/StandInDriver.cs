using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>
/// NVIDIA's driver with one GPU that is the interpreter: what ILGPU and the library ask of a driver is answered here, kernels run as the
/// PTX that is handed over, and a call that a real driver would refuse is refused.
/// </summary>
/// <remarks>Work is done when it is enqueued, so nothing shows a missing wait of the host. Memory begins as NaN.</remarks>
internal static unsafe partial class StandInDriver
{
    /// <summary>What the GPU is called.</summary>
    public const string Name = "stand-in GPU";

    /// <summary>Memory of the GPU.</summary>
    public const long MemoryBytes = 1L << 30;

    private static readonly Lock Gate = new();
    private static readonly SortedList<ulong, long> Allocations = [];
    private static readonly Dictionary<nint, object> Handles = [];

    /// <summary>Calls that no correct program makes, and faults of kernels, since the last clearing.</summary>
    public static List<string> Faults { get; } = [];

    /// <summary>Kernels by name as they were launched, and on which stream.</summary>
    public static List<(string Kernel, nint Stream)> Launches { get; } = [];

    /// <summary>Texts of modules as they were loaded.</summary>
    public static List<string> Modules { get; } = [];

    /// <summary>Changes the texts of modules, as a driver with an error would; null for none.</summary>
    public static Func<string, string>? Edit { get; set; }

    /// <summary>Bytes of the GPU's memory in use.</summary>
    public static long LiveBytes { get; private set; }

    /// <summary>Puts the driver where the loader finds it, once and before anybody looks for devices.</summary>
    /// <returns>Why it cannot be, or null.</returns>
    public static string? Install() => Installed.Value;

    private static Lazy<string?> Installed { get; } = new(() =>
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            return "the stand-in driver is a shared library for Linux on x64";
        if (NativeLibrary.TryLoad("libcuda.so.1", out _))
            return "NVIDIA's own driver is here";
        string file = Path.GetTempFileName();
        var calls = typeof(StandInDriver).GetMethods(BindingFlags.Static | BindingFlags.NonPublic)
            .Select(method => (method, method.GetCustomAttribute<UnmanagedCallersOnlyAttribute>()?.EntryPoint))
            .Where(call => call.EntryPoint is not null);
        SharedLibrary.Load(file, "libcuda.so.1", [.. calls.Select(call => (call.EntryPoint!,
            call.method.MethodHandle.GetFunctionPointer()))]);
        File.Delete(file);
        return null;
    });

    /// <summary>A call's answer: its own, or what its exception means.</summary>
    private static int Answer(Func<int> call)
    {
        lock (Gate)
        {
            try
            {
                return call();
            }
            catch (Exception exception)
            {
                // Nothing may be thrown into native code; the test reads it.
                Faults.Add(exception is PtxFaultException ? exception.Message : exception.ToString());
                return LaunchFailed;
            }
        }
    }

    /// <summary>The same of a call that needs a context on its thread.</summary>
    private static int AnswerInContext(Func<int> call, [System.Runtime.CompilerServices.CallerMemberName] string name = "")
    {
        if (_context != 0)
            return Answer(call);
        lock (Gate)
            Faults.Add($"{name}: no context is current on this thread");
        return InvalidContext;
    }

    private static int Refuse(string why)
    {
        Faults.Add(why);
        return InvalidValue;
    }

    private static nint NewHandle(object value)
    {
        nint handle = Handles.Count + 1;
        Handles.Add(handle, value);
        return handle;
    }

    /// <summary>Whether bytes lie in one allocation.</summary>
    private static bool IsDevice(ulong address, long bytes)
        => AllocationOf(address) is { } start && address + (ulong)bytes <= start + (ulong)Allocations[start];

    private static ulong? AllocationOf(ulong address)
    {
        var starts = Allocations.Keys;
        int low = 0, high = starts.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (starts[middle] <= address)
                low = middle + 1;
            else
                high = middle;
        }
        return low > 0 && address < starts[low - 1] + (ulong)Allocations[starts[low - 1]] ? starts[low - 1] : null;
    }

    private static int Launch(Function function, Index3D grid, Index3D group, int dynamicBytes, nint stream, nint* extra)
    {
        const nint BufferPointer = 1, BufferSize = 2;
        const int MostUnaskedBytes = 48 * 1024;
        var kernel = function.Kernel;
        if (stream == 0)
            return Refuse($"{kernel.Name} runs on the default stream");
        if (extra == null || extra[0] != BufferPointer || extra[2] != BufferSize || extra[4] != 0)
            return Refuse($"{kernel.Name}: arguments not as one buffer");
        if (*(nint*)extra[3] != kernel.ParameterBytes)
            return Refuse($"{kernel.Name} takes {kernel.ParameterBytes} bytes of arguments, given {*(nint*)extra[3]}");
        if (grid.Size <= 0 || grid.Y > ushort.MaxValue || grid.Z > ushort.MaxValue || group.Size > 1024)
            return Refuse($"{kernel.Name}: a grid of {grid} groups of {group}");
        if (dynamicBytes > MostUnaskedBytes - kernel.StaticSharedBytes && dynamicBytes > function.AllowedBytes)
            return Refuse($"{kernel.Name}: {dynamicBytes} bytes of dynamic shared memory were not allowed");
        Launches.Add((kernel.Name, stream));
        byte[] arguments = new ReadOnlySpan<byte>((void*)extra[1], kernel.ParameterBytes).ToArray();
        var views = MemoryMarshal.Cast<byte, ulong>(arguments.AsSpan(0, arguments.Length & ~7)).ToArray()
            .Select(AllocationOf).OfType<ulong>().Distinct().Select(start => (start, Allocations[start]));
        new ThreadGroup(kernel, new KernelConfig(grid, group), dynamicBytes, arguments, new GlobalMemory(views)).RunAll();
        return Success;
    }

    /// <summary>A kernel of a module.</summary>
    private sealed class Function(PtxKernel kernel)
    {
        public PtxKernel Kernel => kernel;

        /// <summary>Dynamic shared memory that it was allowed.</summary>
        public int AllowedBytes { get; set; }
    }
}

using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using Device = Diffusion.Gpu.Kernels.Device;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A device whose kernels are those of an NVIDIA GPU with tensor cores, and whose GPU is the interpreter: what is executed is the
/// text that a driver would be given.</summary>
internal static class InterpretedDevice
{
    private static readonly Dictionary<string, (string Text, PtxKernel Kernel)> Compiled = [];
    private static Context? _context;

    /// <summary>Opens it.</summary>
    /// <param name="precision">How matrix products are computed.</param>
    /// <param name="launched">Told the name of every kernel that runs, or null.</param>
    /// <param name="edit">Changes texts, or null: tests prove so that a slip is found.</param>
    public static Device Open(Precision precision, Action<string>? launched = null, Func<KernelUse, string, string>? edit = null)
        => Guarded(new Device(GpuBackend.DescribeEmulator(), precision, device => new GpuBackend(device, launch =>
        {
            launched?.Invoke(launch.Use.Name);
            Run(launch, edit);
        })));

    private static Device Guarded(Device device)
    {
        device.Backend.Guard = new MemoryGuard(device.Backend);
        return device;
    }

    private static void Run(KernelLaunch launch, Func<KernelUse, string, string>? edit)
    {
        var (text, kernel) = KernelOf(launch.Use);
        if (edit?.Invoke(launch.Use, text) is { } edited && edited != text)
            kernel = PtxParser.Parse(edited);
        var arguments = new ArgumentBytes(kernel, launch.Arguments);
        new ThreadGroup(kernel, launch.Config, launch.Use.DynamicSharedBytes, arguments.Bytes, new GlobalMemory(arguments.Views)).RunAll();
    }

    /// <summary>The text that the library would hand to the driver, compiled at its first use.</summary>
    private static (string Text, PtxKernel Kernel) KernelOf(KernelUse use)
    {
        if (Compiled.TryGetValue(use.Name, out var found))
            return found;
        _context ??= Context.Create(builder => builder.Optimize(OptimizationLevel.O2).EnableAlgorithms().EnableTensorCores());
        using var backend = new PTXBackend(_context, CudaArchitecture.SM_80, CudaInstructionSet.ISA_78, nvvmAPI: null!);
        string text = KernelText.Of(backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(use.Method),
            new KernelSpecialization(use.Threads, use.LeastGroups)))!.Source;
        return Compiled[use.Name] = (text, PtxParser.Parse(text));
    }
}

using System.Diagnostics;
using System.Reflection;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Diffusion.Gpu.Kernels;

/// <summary>Compiles a kernel for a device, or finds it compiled, checks that the device can run it, and hands it to the driver.</summary>
/// <param name="accelerator">The device.</param>
/// <param name="device">What is said of it.</param>
/// <param name="cache">Compiled kernels of earlier runs, or null.</param>
internal sealed class KernelLoader(Accelerator accelerator, DeviceInfo device, KernelCache? cache)
{
    /// <summary>Static shared memory that NVIDIA's compiler accepts: 48 KB on every device.</summary>
    private const int MostStaticSharedBytes = 48 * 1024;

    private readonly ILGPU.Backends.Backend _compiler = accelerator.GetBackend();

    private readonly int _sharedBytes = accelerator is CudaAccelerator cuda ? CudaDriver.SharedBytesOfGroup(cuda)
        : accelerator.MaxSharedMemoryPerGroup;

    /// <summary>What an OpenCL or PTX text depends on beside the kernel.</summary>
    private readonly string _target = accelerator switch
    {
        CudaAccelerator cuda => $"{cuda.Architecture} {cuda.InstructionSet}",
        CLAccelerator cl => $"{device.Name}, {device.Driver}, {string.Join(' ', cl.Capabilities.Extensions)}",
        _ => "",
    };

    /// <summary>Kernels loaded so far and what they took.</summary>
    public KernelLoads Loads { get; private set; }

    /// <summary>Loads a kernel.</summary>
    /// <typeparam name="TLauncher">An action of stream, configuration and the kernel's arguments.</typeparam>
    /// <exception cref="DeviceException">Its groups share more memory than the device has.</exception>
    public TLauncher Load<TLauncher>(KernelUse use)
        where TLauncher : Delegate
    {
        long start = Stopwatch.GetTimestamp();
        var compiled = Compiled(use, out bool wasKept);
        CheckSharedMemory(use, KernelText.StaticSharedBytesOf(compiled));
        long toDriver = Stopwatch.GetTimestamp();
        var kernel = accelerator.LoadKernel(compiled);
        if (kernel is CudaKernel cuda && use.DynamicSharedBytes > 0)
            CudaDriver.AllowDynamicSharedBytes(cuda, use.DynamicSharedBytes);
        var launcher = kernel.CreateLauncherDelegate<TLauncher>();
        Loads = new KernelLoads(Loads.Count + 1, Loads.Kept + (wasKept ? 1 : 0),
            Loads.Compiling + Stopwatch.GetElapsedTime(start, toDriver), Loads.Driver + Stopwatch.GetElapsedTime(toDriver));
        return launcher;
    }

    private CompiledKernel Compiled(KernelUse use, out bool wasKept)
    {
        var entry = EntryPointDescription.FromExplicitlyGroupedKernel(use.Method);
        var specialization = new KernelSpecialization(use.Threads, use.LeastGroups);
        string key = KeyOf(use);
        var text = cache?.Find(key);
        wasKept = text is not null;
        if (text is null)
        {
            var compiled = _compiler.Compile(entry, specialization);
            text = KernelText.Of(compiled);
            if (text is null)
                return compiled;
            cache?.Keep(key, text);
        }
        return text.ToKernel(_compiler, entry, specialization);
    }

    /// <summary>Everything that a kernel's text depends on. A build that changes anything in an assembly changes its module's id.</summary>
    private string KeyOf(KernelUse use)
    {
        Type[] types = [use.Method.DeclaringType!, .. use.Method.GetGenericArguments()];
        Module[] modules = [typeof(Context).Module, typeof(XMath).Module, typeof(KernelLoader).Module, .. types.SelectMany(ModulesOf)];
        return string.Join("; ", [use.Name, $"{use.Threads} threads", $"{use.LeastGroups} groups", _target,
            .. types.Select(type => type.AssemblyQualifiedName!), .. modules.Distinct().Select(module => $"{module.ModuleVersionId:N}")]);
    }

    private static IEnumerable<Module> ModulesOf(Type type) => type.GetGenericArguments().SelectMany(ModulesOf).Append(type.Module);

    private void CheckSharedMemory(KernelUse use, int staticBytes)
    {
        long bytes = (long)staticBytes + use.DynamicSharedBytes;
        string? limit = bytes > _sharedBytes ? $"the device's groups have {_sharedBytes:N0}"
            : staticBytes > MostStaticSharedBytes && accelerator is CudaAccelerator
                ? $"CUDA takes {MostStaticSharedBytes:N0} of fixed size, more only as dynamic memory" : null;
        if (limit is not null)
        {
            throw new DeviceException(device.Id, $"kernel {use.Name} shares {bytes:N0} bytes in a group, {limit}",
                "use another device, or precision float32");
        }
    }
}

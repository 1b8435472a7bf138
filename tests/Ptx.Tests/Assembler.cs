using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Diffusion.Gpu.Kernels;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What NVIDIA's assembler says of a kernel.</summary>
/// <param name="Name">The kernel's.</param>
/// <param name="Threads">Threads of a group.</param>
/// <param name="Registers">Of one thread.</param>
/// <param name="StaticSharedBytes">Shared memory of a group that the kernel reserves.</param>
/// <param name="DynamicSharedBytes">Shared memory that its launch adds.</param>
/// <param name="StackBytes">Stack frame of a thread: more than 0 means that registers live in memory.</param>
/// <param name="SpillBytes">Stores and loads of registers that did not fit.</param>
/// <param name="Instructions">Of the whole kernel, with the padding at its end.</param>
/// <param name="Code">What they are, where it has matrix instructions; else null.</param>
/// <param name="Fault">What kept it from being assembled, or null.</param>
internal sealed record AssembledKernel(string Name, int Threads, int Registers, int StaticSharedBytes, int DynamicSharedBytes,
    int StackBytes, int SpillBytes, int Instructions, MachineCode? Code, string? Fault)
{
    /// <summary>Of a group, all together.</summary>
    public int SharedBytes => StaticSharedBytes + DynamicSharedBytes;

    /// <summary>A kernel that did not come to be assembled.</summary>
    public static AssembledKernel Faulty(string name, string? fault) => new(name, 0, 0, 0, 0, 0, 0, 0, null, fault);
}

/// <summary>Compiles kernels to PTX without a device and assembles them with NVIDIA's own tools.</summary>
internal static partial class Assembler
{
    /// <summary>What a test that needs the assembler says where it is missing.</summary>
    public const string Missing = "ptxas and nvdisasm of CUDA 12 or later were not found; set CUDA_BIN to their folder "
        + "(.ci/run unpacks Debian's)";

    /// <summary>CUDA's first release whose assembler knows warpgroup instructions.</summary>
    private const int LeastRelease = 12;

    /// <summary>The newest PTX version that ptxas 12.0 knows.</summary>
    private static readonly CudaInstructionSet InstructionSet = CudaInstructionSet.ISA_80;

    /// <summary>The folder of ptxas and nvdisasm: CUDA_BIN, the search path, CUDA's own place, or where .ci/run unpacks them.
    /// Null where none is, or all are too old.</summary>
    public static string? Folder { get; } = Candidates().FirstOrDefault(folder => File.Exists(Path.Combine(folder, "ptxas"))
        && File.Exists(Path.Combine(folder, "nvdisasm"))
        && Number(Release().Match(Run(folder, "ptxas", "--version").Output)) >= LeastRelease);

    /// <summary>Compiles kernels for an architecture, with one context: names inside the code depend on what was compiled before.</summary>
    /// <param name="kernels">By name.</param>
    /// <param name="architecture">75, 80, 86, 89 or 90.</param>
    /// <returns>PTX by name, or the compiler's fault.</returns>
    public static IReadOnlyDictionary<string, (string? Ptx, string? Fault)> Compile(IReadOnlyDictionary<string, KernelUse> kernels,
        int architecture)
    {
        var compiled = new Dictionary<string, (string?, string?)>();
        Context? context = null;
        foreach (var (name, use) in kernels)
        {
            context ??= Context.Create(builder => builder.Optimize(OptimizationLevel.O2).EnableAlgorithms().EnableTensorCores());
            try
            {
                // ILGPU writes no target above sm_80; drivers and the assembler take that for every later chip.
                using var backend = new PTXBackend(context, architecture < 80 ? CudaArchitecture.SM_75 : CudaArchitecture.SM_80,
                    InstructionSet, nvvmAPI: null!);
                var kernel = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(use.Method),
                    new KernelSpecialization(use.Threads, use.LeastGroups));
                compiled[name] = (KernelText.ForWarpgroups(KernelText.WithoutPromises(kernel.PTXAssembly)), null);
            }
            catch (Exception exception)
            {
                // Whatever ILGPU throws is this kernel's fault to report; it leaves the context unusable.
                compiled[name] = (null, exception.GetBaseException().Message);
                context.Dispose();
                context = null;
            }
        }
        context?.Dispose();
        return compiled;
    }

    /// <summary>Assembles PTX for an architecture.</summary>
    public static AssembledKernel Assemble(KernelUse use, string ptx, int architecture)
    {
        string folder = Directory.CreateTempSubdirectory("ptx").FullName;
        try
        {
            string source = Path.Combine(folder, "kernel.ptx"), binary = Path.Combine(folder, "kernel.cubin");
            File.WriteAllText(source, ptx);
            bool isOfWarpgroup = ptx.Contains("wgmma.", StringComparison.Ordinal);
            var (code, report) = Run(Folder!, "ptxas", $"-v -arch=sm_{architecture}{(isOfWarpgroup ? "a" : "")} {source} -o {binary}");
            // Right, but slow: the assembler waits for every instruction where it cannot follow the sums.
            if (code != 0 || report.Contains("wgmma.mma_async instructions are serialized", StringComparison.Ordinal))
                return AssembledKernel.Faulty(use.Name, report.Trim());
            var machineCode = isOfWarpgroup || ptx.Contains("mma.sync", StringComparison.Ordinal)
                ? MachineCode.Parse(Run(Folder!, "nvdisasm", $"-c {binary}").Output) : null;
            return new AssembledKernel(use.Name, use.Threads, Number(Registers().Match(report)), Number(Shared().Match(report)),
                use.DynamicSharedBytes, Number(Stack().Match(report)),
                Number(SpillStores().Match(report)) + Number(SpillLoads().Match(report)),
                Cubin.Instructions(File.ReadAllBytes(binary)), machineCode, null);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static (int Code, string Output) Run(string folder, string tool, string arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(folder, tool), arguments)
            { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    private static int Number(Match match) => match.Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;

    private static IEnumerable<string> Candidates()
    {
        if (Environment.GetEnvironmentVariable("CUDA_BIN") is { Length: > 0 } named)
            yield return named;
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            yield return folder;
        yield return "/usr/local/cuda/bin";
        string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } set ? set
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        yield return Path.Combine(cache, "diffusion-gpu", $"cuda-{LeastRelease}");
    }

    [GeneratedRegex(@"release (\d+)\.")]
    private static partial Regex Release();

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex Registers();

    [GeneratedRegex(@"(\d+) bytes smem")]
    private static partial Regex Shared();

    [GeneratedRegex(@"(\d+) bytes stack frame")]
    private static partial Regex Stack();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex SpillStores();

    [GeneratedRegex(@"(\d+) bytes spill loads")]
    private static partial Regex SpillLoads();
}

using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.IR.Types;
using ILGPU.Runtime;
using Compiler = ILGPU.Backends.Backend;

namespace Diffusion.Gpu.Kernels;

/// <summary>What ILGPU's compiler makes of a kernel: PTX or OpenCL C, which the driver compiles further.</summary>
/// <remarks>ILGPU has no public way from a text back to a kernel, so three of its internal members are called; its version is
/// pinned.</remarks>
/// <param name="Source">The text.</param>
/// <param name="StaticSharedBytes">Shared memory that the kernel reserves.</param>
/// <param name="HasDynamicShared">Whether it also takes what the launch gives.</param>
internal sealed partial record KernelText(string Source, int StaticSharedBytes, bool HasDynamicShared)
{
    /// <summary>Fields of a view among an OpenCL kernel's parameters, in ILGPU: its buffer and its length.</summary>
    private const int FieldsOfView = 2;

    /// <summary>The text of a compiled kernel, or null where the device runs it without one.</summary>
    public static KernelText? Of(CompiledKernel kernel)
    {
        string? source = kernel switch
        {
            PTXCompiledKernel ptx => ForWarpgroups(WithoutPromises(ptx.PTXAssembly)),
            CLCompiledKernel cl => cl.Source,
            _ => null,
        };
        var shared = EntryPointOf(kernel).SharedMemory;
        return source is null ? null : new KernelText(Renumbered(source), shared.StaticSize, shared.HasDynamicMemory);
    }

    /// <summary>Shared memory that a compiled kernel reserves.</summary>
    public static int StaticSharedBytesOf(CompiledKernel kernel) => EntryPointOf(kernel).SharedMemory.StaticSize;

    /// <summary>The compiled kernel of this text.</summary>
    /// <param name="compiler">Of the device that the text is for.</param>
    /// <param name="entry">The kernel's method.</param>
    /// <param name="specialization">What the kernel was compiled for.</param>
    public CompiledKernel ToKernel(Compiler compiler, EntryPointDescription entry, KernelSpecialization specialization)
    {
        var shared = new SharedMemorySpecification(StaticSharedBytes, HasDynamicShared);
        return compiler is CLBackend cl
            ? new CLCompiledKernel(cl.Context,
                new SeparateViewEntryPoint(entry, shared, specialization, TypesOf(cl.Context), FieldsOfView), null, Source, cl.CLStdVersion)
            : NewPtxKernel(compiler.Context, new EntryPoint(entry, shared, specialization), null, Source);
    }

    /// <summary>The text with plain conditional branches in place of uniform ones.</summary>
    /// <remarks>ILGPU takes what a loop computes for the same in all threads if it is so at first, as the maximum of a line or Philox's
    /// words, and promises NVIDIA's compiler that threads never part at a branch on it; where they do, the outcome is undefined. The
    /// promise also keeps small loops from being unrolled; main loops of tiles are the same without it.</remarks>
    public static string WithoutPromises(string ptx) => UniformBranch().Replace(ptx, "$1bra");

    /// <summary>
    /// The text of a kernel with a warpgroup's instructions, which exist for target sm_90a alone, from PTX 8.0 on; ILGPU writes no target
    /// above sm_80. Its dynamic shared memory begins where their swizzles do (<see cref="WarpgroupDescriptor"/>). Any other text stays.
    /// </summary>
    public static string ForWarpgroups(string source)
    {
        if (!source.Contains("wgmma.", StringComparison.Ordinal))
            return source;
        source = Version().Replace(source,
            version => decimal.Parse(version.ValueSpan, CultureInfo.InvariantCulture) < 8 ? "8.0" : version.Value);
        return DynamicShared().Replace(Target().Replace(source, "sm_90a"), "1024");
    }

    /// <summary>
    /// The text with its names numbered from 0 in order of appearance. ILGPU numbers them by everything that it compiled before, and a
    /// driver's own cache, which looks for a text that it has seen, would miss; so it also hits after a build that left the kernel as it
    /// was.
    /// </summary>
    public static string Renumbered(string source)
    {
        var numbers = new Dictionary<string, int>();
        return NumberedName().Replace(source, name =>
        {
            if (!numbers.TryGetValue(name.ValueSpan.ToString(), out int number))
                numbers[name.Value] = number = numbers.Count;
            return number.ToString(CultureInfo.InvariantCulture);
        });
    }

    /// <summary>The number of a parameter, label, method or type: _kernel_649, L_5701, Open_1677, type_4128, type_4128_kernel. Chips
    /// (sm_80),
    /// registers (%r10) and fields (field_0) have none.</summary>
    [GeneratedRegex(@"(?<=\b(?:_\w*?_|[A-Z]\w*?_|type_))\d+(?=\b|_kernel\b)")]
    private static partial Regex NumberedName();

    [GeneratedRegex(@"(@!?%\w+\s+)bra\.uni\b")]
    private static partial Regex UniformBranch();

    [GeneratedRegex(@"(?<=^\.version )\d+\.\d+", RegexOptions.Multiline)]
    private static partial Regex Version();

    [GeneratedRegex(@"(?<=^\.target )\w+", RegexOptions.Multiline)]
    private static partial Regex Target();

    [GeneratedRegex(@"(?<=\.extern \.shared \.align )\d+")]
    private static partial Regex DynamicShared();

    [UnsafeAccessor(UnsafeAccessorKind.Constructor)]
    private static extern PTXCompiledKernel NewPtxKernel(Context context, EntryPoint entryPoint, CompiledKernel.KernelInfo? info,
        string ptx);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_TypeContext")]
    private static extern IRTypeContext TypesOf(Context context);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_EntryPoint")]
    private static extern EntryPoint EntryPointOf(CompiledKernel kernel);
}

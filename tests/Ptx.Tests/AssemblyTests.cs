using System.Collections.Concurrent;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Every kernel goes through NVIDIA's assembler, for every architecture from Turing to Hopper, without a GPU.</summary>
[TestFixture(75)]
[TestFixture(80)]
[TestFixture(86)]
[TestFixture(89)]
[TestFixture(90)]
public sealed class AssemblyTests(int architecture)
{
    private const int RegistersOfGroup = 65536;
    private const int StaticSharedBytes = 48 * 1024;

    private IReadOnlyList<AssembledKernel> _kernels = [];

    /// <summary>The most that a group can be allowed: CUDA C++ Programming Guide,
    /// technical specifications per compute capability.</summary>
    private int SharedBytesOfGroup => 1024 * architecture switch
    {
        75 => 64,
        80 => 163,
        86 or 89 => 99,
        _ => 227,
    };

    [OneTimeSetUp]
    public void Assemble()
    {
        if (Assembler.Folder is null)
            Assert.Ignore(Assembler.Missing);
        _kernels = Assembly.Of(architecture);
    }

    [Test]
    public void Kernels_assemble() => AssertNone(kernel => kernel.Fault is not null, kernel => kernel.Fault!);

    [Test]
    public void Values_live_in_registers()
        => AssertNone(kernel => kernel.StackBytes + kernel.SpillBytes > 0,
            kernel => $"{kernel.StackBytes} bytes of stack, {kernel.SpillBytes} spilled");

    [Test]
    public void A_group_fits_a_multiprocessor()
    {
        AssertNone(kernel => RegistersTaken(kernel) > RegistersOfGroup,
            kernel => $"{kernel.Registers} registers x {kernel.Threads} threads");
        AssertNone(kernel => kernel.StaticSharedBytes > StaticSharedBytes, kernel => $"{kernel.StaticSharedBytes} bytes reserved");
        AssertNone(kernel => kernel.SharedBytes > SharedBytesOfGroup, kernel => $"{kernel.SharedBytes} bytes shared");
    }

    /// <summary>Registers of a group: a warp takes them by 256.</summary>
    private static int RegistersTaken(AssembledKernel kernel) => (kernel.Threads + 31) / 32 * ((kernel.Registers * 32) + 255) / 256 * 256;

    private void AssertNone(Func<AssembledKernel, bool> isFaulty, Func<AssembledKernel, string> describe)
        => Assert.That(_kernels.Where(isFaulty).Select(kernel => $"{kernel.Name}: {describe(kernel)}"), Is.Empty);
}

/// <summary>All kernels of an architecture, assembled once a run.</summary>
internal static class Assembly
{
    private static readonly ConcurrentDictionary<int, IReadOnlyList<AssembledKernel>> Done = new();

    public static IReadOnlyList<AssembledKernel> Of(int architecture) => Done.GetOrAdd(architecture, _ =>
    {
        var kernels = KernelListing.For(architecture);
        var compiled = PtxOf.GetOrAdd(Math.Min(architecture, 80),
            target => Assembler.Compile(target < 80 ? kernels : KernelListing.All, target));
        return [.. compiled.Where(entry => kernels.ContainsKey(entry.Key))
            .AsParallel().AsOrdered().Select(entry => entry.Value.Ptx is { } ptx
            ? Assembler.Assemble(kernels[entry.Key], ptx, architecture) : AssembledKernel.Faulty(entry.Key, entry.Value.Fault))];
    });

    private static readonly ConcurrentDictionary<int, IReadOnlyDictionary<string, (string? Ptx, string? Fault)>> PtxOf = new();
}

using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The committed table of kernels as they assemble: benchmarks/results/ptx.md.</summary>
public sealed class TableTests
{
    private const string Command =
        "DIFFUSION_PTX_TABLE=write dotnet run -c Release --project tests/Ptx.Tests -- --filter FullyQualifiedName~TableTests";

    private static string File { get; } = Path.Combine(Root(), "benchmarks", "results", "ptx.md");

    /// <summary>Writes the table where the environment asks for it.</summary>
    [Test]
    public void Committed_table_has_every_kernel()
    {
        if (Environment.GetEnvironmentVariable("DIFFUSION_PTX_TABLE") == "write")
        {
            Assert.That(Assembler.Folder, Is.Not.Null, "ptxas and nvdisasm");
            System.IO.File.WriteAllText(File, Table());
        }
        string[] written = [.. System.IO.File.ReadLines(File).Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Split('`')[1])];
        Assert.That(KernelListing.All.Keys.Except(written), Is.Empty, $"kernels that {File} lacks; write it anew: {Command}");
        Assert.That(written.Except(KernelListing.All.Keys), Is.Empty, $"kernels that are no more; write it anew: {Command}");
    }

    /// <summary>By hand: registers, then shared memory, then threads, then the number of groups set the limit.</summary>
    [TestCase(80, 256, 128, 49152, 2, 16)] // a quarter holds 16384 / 4096 = 4 warps: 16 in all, two groups of 8
    [TestCase(86, 128, 64, 49152, 2, 8)] // 100 KB / (48 + 1 KB) = 2.04
    [TestCase(90, 128, 40, 57344, 4, 16)] // 228 KB / (56 + 1 KB) = 4
    [TestCase(80, 256, 32, 1024, 8, 64)] // 2048 threads
    [TestCase(86, 256, 32, 0, 6, 48)] // 1536 threads
    [TestCase(90, 32, 16, 0, 32, 32)] // 32 groups
    [TestCase(75, 256, 40, 16640, 3, 24)] // 64 KB / 16.25 KB = 3.9
    public void Occupancy_is_that_of_the_calculator(int architecture, int threads, int registers, int shared, int groups, int warps)
        => Assert.That(Occupancy.Of(architecture, threads, registers, shared), Is.EqualTo(new Occupancy(groups, warps)));

    private static string Table()
    {
        var ampere = Assembly.Of(80).ToDictionary(kernel => kernel.Name);
        var table = new StringBuilder();
        table.AppendLine(CultureInfo.InvariantCulture, $"""
# Kernels as assembled

Every kernel of the project with every closed generic, by ILGPU 1.5.3 and ptxas 12.4, for compute capability 8.0 and 9.0. Nothing here was
run on a GPU. Every kernel has a stack frame of 0 bytes and no spills, also for 7.5, 8.6 and 8.9 (`tests/Ptx.Tests` fails otherwise).
Shared memory is that of a group, fixed and dynamic. Instructions are those of the whole kernel, padding included. Groups / warps is what
a multiprocessor holds at once, by registers, shared memory and threads. Written anew by

    {Command}

| kernel | threads | shared bytes | registers 8.0 | instructions | groups / warps | registers 9.0 | instructions | groups / warps |
|---|---|---|---|---|---|---|---|---|
""");
        foreach (var kernel in Assembly.Of(90))
        {
            // A warpgroup's kernels are for 9.0 alone.
            var before = ampere.GetValueOrDefault(kernel.Name);
            Assert.That(before?.Fault ?? kernel.Fault, Is.Null, kernel.Name);
            table.AppendLine(CultureInfo.InvariantCulture,
                $"| `{kernel.Name}` | {kernel.Threads} | {kernel.SharedBytes} "
                + $"| {(before is null ? "– | – | –" : Columns(80, before))} | {Columns(90, kernel)} |");
        }
        return table.ToString();
    }

    private static string Columns(int architecture, AssembledKernel kernel)
    {
        var held = Occupancy.Of(architecture, kernel.Threads, kernel.Registers, kernel.SharedBytes);
        return $"{kernel.Registers} | {kernel.Instructions} | {held.Groups} / {held.Warps}";
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !System.IO.File.Exists(Path.Combine(folder.FullName, "Diffusion.Gpu.slnx")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException($"{AppContext.BaseDirectory} lies in no checkout");
    }
}

/// <summary>The assembler's binary: an ELF file of 64 bits.</summary>
internal static class Cubin
{
    private const int BytesOfInstruction = 16;

    /// <summary>Instructions in all sections of code.</summary>
    public static int Instructions(ReadOnlySpan<byte> file)
    {
        // e_shoff, e_shentsize, e_shnum, e_shstrndx; sh_name, sh_offset, sh_size.
        int table = (int)BinaryPrimitives.ReadInt64LittleEndian(file[0x28..]);
        int size = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3A..]), count = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3C..]);
        int names = Offset(file[(table + (size * BinaryPrimitives.ReadUInt16LittleEndian(file[0x3E..])))..]);
        long bytes = 0;
        for (int i = 0; i < count; i++)
        {
            var section = file[(table + (i * size))..];
            if (file[(names + BinaryPrimitives.ReadInt32LittleEndian(section))..].StartsWith(".text."u8))
                bytes += BinaryPrimitives.ReadInt64LittleEndian(section[0x20..]);
        }
        return (int)(bytes / BytesOfInstruction);
    }

    private static int Offset(ReadOnlySpan<byte> section) => (int)BinaryPrimitives.ReadInt64LittleEndian(section[0x18..]);
}

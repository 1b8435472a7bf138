using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What the machine code of tensor-core tiles must and must not contain.</summary>
[TestFixture(80)]
[TestFixture(86)]
[TestFixture(89)]
[TestFixture(90)]
public sealed class TileTests(int architecture)
{
    /// <summary>Two groups of 256 threads share the 65,536 registers of a multiprocessor.</summary>
    private const int MostRegistersOf256Threads = 128;

    /// <summary>Three groups of 128 threads do. Copies of 4 bytes need the most: they keep eight places for each operand.</summary>
    private const int MostRegistersOf128Threads = 168;

    private IReadOnlyList<AssembledKernel> _tiles = [];

    [OneTimeSetUp]
    public void Assemble()
    {
        if (Assembler.Folder is null)
            Assert.Ignore("ptxas and nvdisasm were not found; set CUDA_BIN to their folder (.ci/run unpacks Debian's)");
        _tiles = [.. Assembly.Of(architecture).Where(kernel => IsTile(kernel.Name) && kernel.Fault is null)];
    }

    [Test]
    public void Every_tile_is_listed_for_every_product()
    {
        string[] products = [.. _tiles.Select(tile => tile.Name).Where(IsWide).Select(ProductOf).Distinct()];
        // Forward and the filter's gradient, each from a tensor, two, and an upsampled one; the input's gradient; four matrix products.
        Assert.That(products, Has.Length.EqualTo(3 + 3 + 1 + 4), string.Join("; ", products));
        foreach (string shape in new[] { nameof(Tile64x64), nameof(Tile128x64), nameof(Tile128x128) })
        {
            int count = _tiles.Count(tile => IsWide(tile.Name) && tile.Name.Contains($"CudaTile<{shape}>"));
            Assert.That(count, Is.EqualTo(products.Length), shape);
        }
    }

    [Test]
    public void Products_are_of_matrices()
        => AssertEach(tile => tile.Code!.Products == Warp(tile.Name) && MachineCode.Count(tile.Code.Loop, "FFMA") == 0,
            tile => $"{tile.Code!.Products} matrix instructions in the loop, {MachineCode.Count(tile.Code.Loop, "FFMA")} FFMA");

    [Test]
    public void Copies_are_asynchronous_and_as_wide_as_the_source()
        => AssertEach(tile => Copies(tile, IsWide(tile.Name) ? @"LDGSTS\S*\.BYPASS\S*\.128" : "LDGSTS(?!.*128)") >= 4
            && Copies(tile, "LDG") + Copies(tile, "ST[SG]") == 0,
            tile => string.Join("; ", tile.Code!.Loop.Where(i => i.StartsWith("LDG", StringComparison.Ordinal))));

    /// <summary>Where depth lies in neighbouring addresses, one instruction loads four registers of fragments.</summary>
    [Test]
    public void Fragments_are_loaded_as_matrices_where_depth_is_contiguous()
        => AssertEach(tile => MachineCode.Count(tile.Code!.Loop, "LDSM.*\\.4 ") >= 4 * tile.Name.Split(nameof(ColumnsAreDepth)).Length - 4,
            tile => $"{MachineCode.Count(tile.Code!.Loop, "LDSM")} fragment loads");

    [Test]
    public void Nothing_of_a_thread_lies_in_memory()
        => AssertEach(tile => LocalAccesses(tile) == 0, tile => $"{LocalAccesses(tile)} local accesses");

    /// <summary>Named registers take addresses within shared memory. One converted from or to a generic address, which needs the place of
    /// shared memory in the address space, would be a mistake that no emulation sees.</summary>
    [Test]
    public void Shared_addresses_are_never_converted()
        => AssertEach(tile => Conversions(tile) == 0, tile => $"{Conversions(tile)} uses of the shared window");

    /// <summary>The wait, one barrier and the close of the group are there, and none was moved out or doubled.</summary>
    [Test]
    public void A_stage_has_one_wait_one_barrier_and_one_group_of_copies()
        => AssertEach(tile => Copies(tile, "DEPBAR") == 1 && Copies(tile, "BAR") == 1 && Copies(tile, "LDGDEPBAR") == 1,
            tile => $"{Copies(tile, "DEPBAR")} waits, {Copies(tile, "BAR")} barriers, {Copies(tile, "LDGDEPBAR")} groups");

    [Test]
    public void Groups_leave_room_for_others()
        => AssertEach(tile => tile.Registers <= (tile.Threads > 128 ? MostRegistersOf256Threads : MostRegistersOf128Threads),
            tile => $"{tile.Registers} registers");

    /// <summary>Prints the counts that PTX results are reported by.</summary>
    [Test]
    public void Table_of_tiles()
    {
        foreach (var tile in _tiles)
        {
            var code = tile.Code!;
            TestContext.Out.WriteLine($"| {tile.Name} | sm_{architecture} | {tile.Threads} | {tile.Registers} | {tile.SharedBytes} "
                + $"| {code.Loop.Count} | {code.Products} | {code.Share:P0} |");
        }
        Assert.That(_tiles, Is.Not.Empty);
    }

    /// <summary>The name without its first two type arguments, which are the tile.</summary>
    private static string ProductOf(string name) => name.Split(", ", 3)[2];

    private static bool IsTile(string name) => name.StartsWith(nameof(TileGemm), StringComparison.Ordinal);

    private static bool IsWide(string name) => !name.Contains(nameof(OneWide), StringComparison.Ordinal);

    /// <summary>Matrix instructions of a warp in a stage.</summary>
    private static int Warp(string name)
        => name.Contains($"CudaTile<{nameof(Tile64x64)}>", StringComparison.Ordinal) ? 2 * 2 * 4 : 2 * 4 * 4;

    private static int Conversions(AssembledKernel tile) => MachineCode.Count(tile.Code!.All, ".*SR_SWIN");

    private static int LocalAccesses(AssembledKernel tile) => MachineCode.Count(tile.Code!.All, "(STL|LDL)");

    private static int Copies(AssembledKernel tile, string pattern) => MachineCode.Count(tile.Code!.Loop, pattern + @"(?=[\s.]|$)");

    private void AssertEach(Func<AssembledKernel, bool> isRight, Func<AssembledKernel, string> describe)
        => Assert.That(_tiles.Where(tile => !isRight(tile)).Select(tile => $"{tile.Name}: {describe(tile)}"), Is.Empty);
}

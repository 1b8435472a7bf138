using System.Text.RegularExpressions;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What the machine code of tensor-core tiles must and must not contain.</summary>
[TestFixture(80)]
[TestFixture(86)]
[TestFixture(89)]
[TestFixture(90)]
public sealed class TileTests(int architecture)
{
    /// <summary>Of a multiprocessor.</summary>
    private const int Registers = 65536;

    /// <summary>Of the instructions of the main loop; below, the others are what the loop is about.</summary>
    private const double LeastShareOfProducts = 0.32;

    private IReadOnlyList<AssembledKernel> _tiles = [];

    [OneTimeSetUp]
    public void Assemble()
    {
        if (Assembler.Folder is null)
            Assert.Ignore(Assembler.Missing);
        _tiles = [.. Assembly.Of(architecture).Where(kernel => IsTile(kernel.Name) && !KernelListing.IsOfWarpgroup(kernel.Name)
            && kernel.Fault is null)];
    }

    [Test]
    public void Every_tile_is_listed_for_every_product()
    {
        string[] products = [.. _tiles.Select(tile => tile.Name).Where(StoresFour).Select(ProductOf).Distinct()];
        // Forward, whole, in parts and with a norm, and the filter's gradient, each from a tensor, two, and an upsampled one; the input's
        // gradient, whose parts are those of a forward product; four matrix products. In BF16 two tensors become one when they are copied.
        string all = string.Join("; ", products);
        Assert.That(products.Count(product => product.StartsWith(nameof(TensorFloat32))), Is.EqualTo(3 + 3 + 3 + 3 + 1 + 4), all);
        Assert.That(products.Count(product => product.StartsWith(nameof(BFloat16))), Is.EqualTo(2 + 2 + 2 + 2 + 1 + 4), all);
        foreach (string shape in new[] { nameof(Tile64x64), nameof(Tile128x64), nameof(Tile128x128) })
        {
            int count = _tiles.Count(tile => StoresFour(tile.Name) && tile.Name.Contains($"CudaTile<{shape},"));
            Assert.That(count, Is.EqualTo(products.Length), shape);
        }
    }

    [Test]
    public void Products_are_of_matrices()
        => AssertEach(tile => tile.Code!.Products == Left(tile) * Right(tile) * 2 && MachineCode.Count(tile.Code.Loop, "FFMA") == 0,
            tile => $"{tile.Code!.Products} matrix instructions in the loop, {MachineCode.Count(tile.Code.Loop, "FFMA")} FFMA");

    /// <summary>Of the tile that shapes of many pixels and channels get.</summary>
    [Test]
    public void Large_tiles_do_little_but_multiply()
        => AssertEach(tile => !IsLarge(tile.Name) || tile.Code!.Share >= LeastShareOfProducts,
            tile => $"{tile.Code!.Products} of {tile.Code.Loop.Count} instructions of the loop");

    /// <summary>A stage of 64 bytes a line is 16 bytes for every 32 lines and thread.</summary>
    [Test]
    public void Copies_are_asynchronous_and_16_bytes_wide()
        => AssertEach(tile => Copies(tile, @"LDGSTS\S*\.BYPASS\S*\.128") == Left(tile) + (Right(tile) / 2)
            && Copies(tile, "LDGSTS") == Left(tile) + (Right(tile) / 2) && Copies(tile, "LDG") + Copies(tile, "ST[SG]") == 0,
            tile => string.Join("; ", tile.Code!.Loop.Where(i => i.StartsWith("LDG", StringComparison.Ordinal))));

    /// <summary>One instruction loads four registers of fragments, but for 32-bit values whose depth lies in rows.</summary>
    [Test]
    public void Fragments_are_loaded_as_matrices()
        => AssertEach(tile => MachineCode.Count(tile.Code!.Loop, "LDSM.*\\.4 ") == MatrixLoads(tile),
            tile => $"{MachineCode.Count(tile.Code!.Loop, "LDSM")} fragment loads, not {MatrixLoads(tile)}");

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

    /// <summary>A warp of 64 x 64 holds 128 sums and 32 fragment registers; with what it copies from, 255 are enough, and two groups fit.
    /// Smaller ones leave room for three groups and for four.</summary>
    [Test]
    public void Groups_leave_room_for_others()
        => AssertEach(tile => tile.Registers * TileLayout.Threads * Groups(tile) <= Registers && tile.Threads == TileLayout.Threads,
            tile => $"{tile.Registers} registers");

    /// <summary>Prints the counts that PTX results are reported by.</summary>
    [Test]
    public void Table_of_tiles()
    {
        foreach (var tile in _tiles)
        {
            TestContext.Out.WriteLine(Row(tile, architecture));
        }
        Assert.That(_tiles, Is.Not.Empty);
    }

    /// <summary>Threads, registers, shared bytes, instructions of the loop, those that multiply matrices, and their share.</summary>
    internal static string Row(AssembledKernel tile, int architecture)
        => $"| {tile.Name} | sm_{architecture} | {tile.Threads} | {tile.Registers} | {tile.SharedBytes} "
            + $"| {tile.Code!.Loop.Count} | {tile.Code.Products} | {tile.Code.Share:P0} |";

    /// <summary>The element and what is multiplied: the name without the tile.</summary>
    private static string ProductOf(string name) => name.Split(", ", 4)[3];

    private static bool IsTile(string name) => name.StartsWith(nameof(TileGemm), StringComparison.Ordinal);

    private static bool StoresFour(string name) => !name.Contains(nameof(OneWide), StringComparison.Ordinal);

    private static bool IsLarge(string name) => Mentions(name, nameof(Tile128x128));

    private static bool Mentions(string name, string part) => name.Contains(part, StringComparison.Ordinal);

    /// <summary>Fragments of 16 lines that a warp holds.</summary>
    private static int Left(AssembledKernel tile) => Mentions(tile.Name, $"CudaTile<{nameof(Tile64x64)},") ? 2 : 4;

    /// <summary>Fragments of 8 columns that a warp holds.</summary>
    private static int Right(AssembledKernel tile) => Mentions(tile.Name, $"CudaTile<{nameof(Tile128x128)},") ? 8 : 4;

    private static int Groups(AssembledKernel tile) => Left(tile) == 2 ? 4 : Right(tile) == 4 ? 3 : 2;

    private static int MatrixLoads(AssembledKernel tile)
    {
        bool[] areMatrices = [.. Regex.Matches(tile.Name, "(Columns|Rows)AreDepth")
            .Select(order => order.Value == nameof(ColumnsAreDepth) || Mentions(tile.Name, nameof(BFloat16)))];
        return (areMatrices[0] ? 2 * Left(tile) : 0) + (areMatrices[1] ? Right(tile) : 0);
    }

    private static int Conversions(AssembledKernel tile) => MachineCode.Count(tile.Code!.All, ".*SR_SWIN");

    private static int LocalAccesses(AssembledKernel tile) => MachineCode.Count(tile.Code!.All, "(STL|LDL)");

    private static int Copies(AssembledKernel tile, string pattern) => MachineCode.Count(tile.Code!.Loop, pattern + @"(?=[\s.]|$)");

    private void AssertEach(Func<AssembledKernel, bool> isRight, Func<AssembledKernel, string> describe)
        => Assert.That(_tiles.Where(tile => !isRight(tile)).Select(tile => $"{tile.Name}: {describe(tile)}"), Is.Empty);
}

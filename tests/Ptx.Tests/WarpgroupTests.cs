using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What the machine code of a warpgroup's tiles must and must not contain. That they assemble without a warning of serialized
/// instructions, without a stack and without spills is tested with all other kernels.</summary>
public sealed class WarpgroupTests
{
    private const int Architecture = 90;

    /// <summary>Of a multiprocessor.</summary>
    private const int Registers = 65536;

    private IReadOnlyList<AssembledKernel> _tiles = [];

    [OneTimeSetUp]
    public void Assemble()
    {
        if (Assembler.Folder is null)
            Assert.Ignore(Assembler.Missing);
        _tiles = [.. Assembly.Of(Architecture).Where(kernel => KernelListing.IsOfWarpgroup(kernel.Name) && kernel.Fault is null)];
    }

    /// <summary>Every product of the other tiles whose operands a warpgroup reads, by both shapes.</summary>
    [Test]
    public void Every_product_that_can_be_a_warpgroups_is_listed()
    {
        var others = KernelListing.All.Values.Select(use => use.Method)
            .Where(method => method.DeclaringType == typeof(TileGemm))
            .Where(method => method.GetGenericArguments()[0].GetGenericTypeDefinition() == typeof(CudaTile<,>)
                && method.GetGenericArguments()[1] != typeof(Tile64x64) && Reads(method.GetGenericArguments()));
        var wanted = others.Select(method =>
        {
            Type[] arguments = [.. method.GetGenericArguments()];
            arguments[0] = typeof(WarpgroupTile<,>).MakeGenericType(arguments[1], arguments[2]);
            return new KernelUse(method.GetGenericMethodDefinition().MakeGenericMethod(arguments), 0, null, 0).Name;
        });
        Assert.That(_tiles.Select(tile => tile.Name), Is.EquivalentTo(wanted));
        Assert.That(_tiles.Select(tile => tile.Name), Is.Not.Empty);
    }

    /// <summary>Two instructions of 64 lines for each half of a stage; no fragment is loaded, no sum is multiplied otherwise.</summary>
    [Test]
    public void A_stage_is_four_matrix_instructions()
        => AssertEach(tile => MachineCode.Count(tile.Code!.Loop, $"HGMMA\\.64x{Columns(tile)}x") == 4 && tile.Code.Products == 4
            && MachineCode.Count(tile.Code.Loop, "FFMA") == 0 && MachineCode.Count(tile.Code.All, "(LDSM|STL|LDL)") == 0,
            tile => $"{tile.Code!.Products} matrix instructions in the loop");

    /// <summary>In this order: copies landed, instructions done, fence between the proxies, barrier, instructions, copies.</summary>
    [Test]
    public void A_stage_waits_fences_and_meets_before_it_multiplies_and_then_copies()
        => AssertEach(tile => Order(tile) is var order && order.SequenceEqual(order.Order())
            && MachineCode.Count(tile.Code!.Loop, "BAR") == 1 && MachineCode.Count(tile.Code.Loop, "LDGDEPBAR") == 1,
            tile => string.Join(", ", Order(tile)));

    /// <summary>A stage of 64 bytes a line is 16 bytes for every 32 lines and thread.</summary>
    [Test]
    public void Copies_are_asynchronous_and_16_bytes_wide()
        => AssertEach(tile => MachineCode.Count(tile.Code!.Loop, @"LDGSTS\S*\.BYPASS\S*\.128") == 4 + (Columns(tile) / 32)
            && MachineCode.Count(tile.Code.Loop, "LDGSTS") == 4 + (Columns(tile) / 32)
            && MachineCode.Count(tile.Code.Loop, "(LDG\\.|ST[SG])") == 0,
            tile => $"{MachineCode.Count(tile.Code!.Loop, "LDGSTS")} copies");

    /// <summary>As many groups as of the other tiles of the same shape.</summary>
    [Test]
    public void Groups_leave_room_for_others()
        => AssertEach(tile => tile.Registers * TileLayout.Threads * (Columns(tile) == 128 ? 2 : 3) <= Registers
            && tile.Threads == TileLayout.Threads, tile => $"{tile.Registers} registers");

    /// <summary>Prints the counts that PTX results are reported by.</summary>
    [Test]
    public void Table_of_tiles()
    {
        foreach (var tile in _tiles)
            TestContext.Out.WriteLine(TileTests.Row(tile, Architecture));
        Assert.That(_tiles, Is.Not.Empty);
    }

    private static int Columns(AssembledKernel tile)
        => tile.Name.Contains($"<{nameof(Tile128x128)},", StringComparison.Ordinal) ? 128 : 64;

    private static bool Reads(Type[] arguments)
        => arguments[2] == typeof(BFloat16) || (arguments[4] == typeof(ColumnsAreDepth) && arguments[6] == typeof(ColumnsAreDepth));

    /// <summary>Where the loop first has each kind of instruction.</summary>
    private static int[] Order(AssembledKernel tile)
        => [.. new[] { @"DEPBAR\.LE", @"WARPGROUP\.DEPBAR", @"FENCE\.VIEW\.ASYNC", "BAR", "HGMMA", "LDGSTS", "LDGDEPBAR" }
            .Select(kind => tile.Code!.Loop.ToList().FindIndex(instruction => MachineCode.Count([instruction], kind) > 0))];

    private void AssertEach(Func<AssembledKernel, bool> isRight, Func<AssembledKernel, string> describe)
        => Assert.That(_tiles.Where(tile => !isRight(tile)).Select(tile => $"{tile.Name}: {describe(tile)}"), Is.Empty);
}

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>No access of a tile to its shared memory makes a bank serve two lanes,
/// by the addresses that the tile itself computes.</summary>
/// <remarks>Shared memory has 32 banks of four bytes. It serves 16 bytes of 8 lanes at a time, 8 bytes of 16, or 4 bytes of 32; a matrix
/// of a fragment load is 8 lanes of 16 bytes. Numbers alone cannot tell:
/// a swizzle that is wrong in the same way on both sides is right.</remarks>
[TestFixture(typeof(TensorFloat32), typeof(ColumnsAreDepth))]
[TestFixture(typeof(TensorFloat32), typeof(RowsAreDepth))]
[TestFixture(typeof(BFloat16), typeof(ColumnsAreDepth))]
[TestFixture(typeof(BFloat16), typeof(RowsAreDepth))]
internal sealed class TileLayoutTests<TElement, TOrder>
    where TElement : struct, ITileElement
    where TOrder : struct, IOperandOrder
{
    private static readonly int[] Extents = [6, 7];

    private static bool LoadsMatrices => TOrder.ColumnsAreDepth || TElement.ByteShift == 1;

    [Test]
    public void Copies_touch_every_bank_once()
        => AssertNoConflict(16, TileLayout.Threads, TileLayout.CopyTarget<TElement, TOrder>);

    [TestCaseSource(nameof(Extents))]
    public void Left_fragments_touch_every_bank_once(int extentShift)
    {
        foreach (int bytes in Spreads)
        {
            AssertNoConflict(LoadsMatrices ? 16 : 8, 32,
                lane => TileLayout.LeftAddress<TElement, TOrder>(lane, 1 << (extentShift - 1)) ^ bytes);
        }
    }

    [TestCaseSource(nameof(Extents))]
    public void Right_fragments_touch_every_bank_once(int extentShift)
    {
        foreach (int bytes in Spreads)
        {
            AssertNoConflict(LoadsMatrices ? 16 : 4, 32,
                lane => TileLayout.RightAddress<TElement, TOrder>(lane, 1 << (extentShift - 1)) ^ bytes);
        }
    }

    [Test]
    public void Spilled_sums_touch_every_bank_once()
    {
        int pitch = TileLayout.SpillPitch<Tile128x128, TElement, TOrder>();
        AssertNoConflict(8, 32, lane => sizeof(float) * ((TileLayout.SpillLine<TElement, TOrder>(lane) * pitch) + (2 * (lane & 3))));
    }

    [Test]
    public void Spilled_sums_cover_16_lines()
    {
        int step = TileLayout.SpillStep<TElement, TOrder>();
        var lines = Enumerable.Range(0, 32).Select(TileLayout.SpillLine<TElement, TOrder>).SelectMany(line => new[] { line, line + step });
        Assert.That(lines.Distinct().Order(), Is.EqualTo(Enumerable.Range(0, 16)));
    }

    /// <summary>What fragments further on add by exclusive-or to an address.</summary>
    private static int[] Spreads => TOrder.ColumnsAreDepth ? [0, TileLayout.HalfStageBytes] : [0, 32, 64, 96];

    private static void AssertNoConflict(int bytes, int lanes, Func<int, int> address)
    {
        int together = 128 / bytes;
        for (int first = 0; first < lanes; first += together)
        {
            int[] banks = [.. Enumerable.Range(first, together).Select(lane => address(lane) % 128 / bytes)];
            Assert.That(banks, Is.Unique, $"lanes from {first}: {string.Join(", ", banks)}");
        }
        Assert.That(Enumerable.Range(0, lanes).Select(address), Has.All.Matches<int>(at => at % bytes == 0));
    }
}

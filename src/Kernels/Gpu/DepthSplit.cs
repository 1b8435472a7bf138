namespace Diffusion.Gpu.Kernels;

/// <summary>Into how many parts the sums of a product are split where its tiles are too few to fill a device.</summary>
/// <remarks>
/// The parts of a sum are added in their order, so their number is part of the result. It follows from the extents of the product alone:
/// neither the device nor the precision nor the tile changes it.
/// Time is counted in tenths of what a multiprocessor takes for 64 × 64 × 64 multiply-adds at peak, 0.14 µs of an H200 in TF32:
/// <see cref="TileChoice.LeastWork"/> for the multiprocessor that has most to do, and the costs below.
/// </remarks>
internal static class DepthSplit
{
    /// <summary>Parts are multiples of this many terms: whole stages of every tile.</summary>
    public const int Unit = 64;

    /// <summary>
    /// Images that a convolution is counted for. A sample must have the same bits in every batch, so the batch that there is does not
    /// count; 16 is what a training step has unless told otherwise.
    /// </summary>
    public const int Images = 16;

    /// <summary>What a tile does besides its products, in units of depth: two stages arrive before the first, the sums leave after the
    /// last.</summary>
    private const int Overhead = 1;

    /// <summary>
    /// Operations that take as long as a byte of memory: 82 of an RTX 4090 in TF32, 103 of an H200, twice as many in BF16. A value of a
    /// part is written and read again, 8 bytes, at the speed of memory or better, for parts are small enough for the second-level cache.
    /// </summary>
    private const int OperationsOfByte = 128;

    /// <summary>Tenths for reading one more part: four reads are under way at a time, and memory is taken to answer in
    /// 0.25 µs.</summary>
    private const int PartLatency = 4;

    /// <summary>Tenths for the launch that adds the parts, taken to be 2 µs; not measured, like the above.</summary>
    private const int Launch = 160;

    /// <summary>Percent of the time that must remain at most: counted gains below a fifth may be none, and in a batch larger than
    /// <see cref="Images"/> parts cost more and bring less.</summary>
    private const int MostPercent = 80;

    /// <summary>Parts that a sum is split into, 1 where it stays whole.</summary>
    /// <param name="lines">Rows of the result; of a convolution those of <see cref="Images"/> images.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="depth">Terms of each sum.</param>
    public static int Parts(long lines, int columns, int depth)
    {
        int units = (depth + Unit - 1) / Unit, best = 1;
        long whole = Time(units), least = whole;
        // A number of parts is tried where a part becomes shorter by it, until the tiles are four times as many as multiprocessors.
        for (int ofPart = units / 2; ofPart > 0 && PartsOf(ofPart) * TileChoice.Fewest(lines, columns) <= 4 * TileChoice.Fill;
            ofPart = (units - 1) / PartsOf(ofPart))
        {
            long time = Time(ofPart);
            if (time < least)
                (best, least) = (PartsOf(ofPart), time);
        }
        return 100 * least > MostPercent * whole ? 1 : best;

        int PartsOf(int ofPart) => (units + ofPart - 1) / ofPart;

        long Time(int ofPart)
        {
            int parts = ofPart == units ? 1 : PartsOf(ofPart);
            long products = (ofPart + Overhead) * TileChoice.LeastWork(lines, columns, parts);
            return parts == 1 ? products : products + Launch + (parts * (PartLatency + TrafficOfPart(lines, columns)));
        }
    }

    /// <summary>Terms of one part of a sum; the last parts have fewer, or there are none left for them.</summary>
    public static int DepthOfPart(int depth, int parts) => (((depth - 1) / (parts * Unit)) + 1) * Unit;

    /// <summary>Tenths for writing and reading a part: 8 bytes a value, of whose time every multiprocessor has its share.</summary>
    private static long TrafficOfPart(long lines, int columns)
    {
        const long OperationsOfTenth = 2L * 64 * 64 * Unit / 10;
        return 8 * lines * columns * OperationsOfByte / (TileChoice.Fill * OperationsOfTenth);
    }
}

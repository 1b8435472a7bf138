using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>Sums over the rows of a matrix.</summary>
internal static unsafe class GemmColumnSum
{
    /// <summary>Rows of a partial sum: few enough that adding them one by one in single precision loses little.</summary>
    private const int RowsOfBlock = 64;

    /// <summary>Values per work item.</summary>
    private const int Grain = 1 << 15;

    /// <summary>sum[c] (+)= sum over r of x[r, c]: blocks of rows in single precision, blocks in order in double.</summary>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="x">[rows, columns].</param>
    /// <param name="sum">[columns].</param>
    /// <param name="accumulate">Adds to the sum.</param>
    public static void Run(int rows, int columns, float* x, float* sum, bool accumulate)
    {
        int blocks = (rows + RowsOfBlock - 1) / RowsOfBlock;
        float* partials = GemmScratch.Current.Partials.Take<float>(blocks * (long)columns);
        int blocksPerItem = Math.Max(1, Grain / Math.Max(1, RowsOfBlock * columns));
        ForkJoinPool.RunRanges(blocks, blocksPerItem, (first, end) =>
        {
            for (long block = first; block < end; block++)
                SumRows(x, partials, block, rows, columns);
        });
        for (nint c = 0; c < columns; c++)
        {
            double total = accumulate ? sum[c] : 0;
            for (nint block = 0; block < blocks; block++)
                total += partials[(block * columns) + c];
            sum[c] = (float)total;
        }
    }

    private static void SumRows(float* x, float* partials, long block, int rows, int columns)
    {
        long first = block * RowsOfBlock, end = Math.Min(rows, first + RowsOfBlock);
        var sums = new Span<float>(partials + (block * columns), columns);
        new Span<float>(x + (first * columns), columns).CopyTo(sums);
        for (long row = first + 1; row < end; row++)
            Add(new Span<float>(x + (row * columns), columns), sums);
    }

    private static void Add(ReadOnlySpan<float> row, Span<float> sums)
    {
        var rowVectors = MemoryMarshal.Cast<float, System.Numerics.Vector<float>>(row);
        var sumVectors = MemoryMarshal.Cast<float, System.Numerics.Vector<float>>(sums);
        for (int i = 0; i < sumVectors.Length; i++)
            sumVectors[i] += rowVectors[i];
        for (int i = sumVectors.Length * System.Numerics.Vector<float>.Count; i < sums.Length; i++)
            sums[i] += row[i];
    }
}

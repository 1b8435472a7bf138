using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What the kernels of linear attention add to <see cref="AttentionTile"/>: tiles of softmaxed keys and queries.</summary>
internal static class LinearAttentionTile
{
    /// <summary>Room for <see cref="QueryStatistics"/>, in units of four floats.</summary>
    public const int StatisticsRoom = 32;

    public static float Max(float a, float b) => a > b ? a : b;

    public static HeadRows Keys(LinearAttentionArguments a, int n, int head)
        => HeadRows.OfQkv(a.Qkv, a.Shape, n, head, 1).Behind(a.Memory, head * a.Shape.D * a.Shape.M, 1, a.Shape.M, a.Shape.M);

    public static HeadRows Values(LinearAttentionArguments a, int n, int head)
        => HeadRows.OfQkv(a.Qkv, a.Shape, n, head, 2)
            .Behind(a.Memory, (a.Shape.Heads + head) * a.Shape.D * a.Shape.M, 1, a.Shape.M, a.Shape.M);

    /// <summary>A key softmaxed over the rows, 0 outside.</summary>
    public static float Key(LinearAttentionArguments a, HeadTile at, HeadRows keys, int row, int channel)
    {
        if (row >= keys.Count || channel >= keys.D)
            return 0;
        int offset = (((at.N * a.Shape.Heads) + at.Head) * 2 * keys.D) + channel;
        return MathF.Exp(keys.Read(row, channel) - a.KeyStatistics[offset]) / a.KeyStatistics[offset + keys.D];
    }

    /// <summary>Puts 32 × 32 softmaxed keys into a tile whose rows and channels lie the given distances apart.</summary>
    public static void LoadKeys(ArrayView<F4> tile, int rowStride, int channelStride, LinearAttentionArguments a, HeadTile at,
        HeadRows keys, int firstRow, int firstChannel, int thread)
    {
        var floats = tile.Cast<float>();
        int channel = thread & 31;
        for (int row = thread >> 5; row < AttentionTile.Size; row += 2)
            floats[(row * rowStride) + (channel * channelStride)] = Key(a, at, keys, firstRow + row, firstChannel + channel);
    }

    /// <summary>
    /// statistics[row] = maximum, statistics[32 + row] = 1 / sum of exponentials, of 32 queries over their channels: thread t takes every
    /// other channel of query t % 32. Uses the tile; ends with a barrier.
    /// </summary>
    public static void QueryStatistics(ArrayView<F4> tile, ArrayView<float> statistics, HeadRows queries, int firstRow, int thread)
    {
        var floats = tile.Cast<float>();
        int row = thread & 31, half = thread >> 5;
        float maximum = float.MinValue, sum = 0;
        for (int first = 0; first < queries.D; first += AttentionTile.Size)
        {
            Group.Barrier();
            AttentionTile.LoadChannelsAsDepth(tile, queries, firstRow, first, thread);
            Group.Barrier();
            int end = Math.Min(AttentionTile.Size, queries.D - first);
            float next = maximum;
            for (int channel = half; channel < end; channel += 2)
                next = Max(next, floats[(channel * AttentionTile.Pitch) + row]);
            sum *= MathF.Exp(maximum - next);
            for (int channel = half; channel < end; channel += 2)
                sum += MathF.Exp(floats[(channel * AttentionTile.Pitch) + row] - next);
            maximum = next;
        }
        statistics[thread] = maximum;
        statistics[64 + thread] = sum;
        Group.Barrier();
        float even = statistics[row], odd = statistics[row + 32];
        float largest = Max(even, odd);
        float total = (statistics[64 + row] * MathF.Exp(even - largest)) + (statistics[96 + row] * MathF.Exp(odd - largest));
        Group.Barrier();
        statistics[thread] = half == 0 ? largest : 1 / total;
        Group.Barrier();
    }

    /// <summary>A query softmaxed over the channels, 0 outside. <paramref name="row"/> counts from the tile's first.</summary>
    public static float Query(ArrayView<float> statistics, HeadRows queries, int firstRow, int row, int channel)
    {
        if (firstRow + row >= queries.Count || channel >= queries.D)
            return 0;
        return MathF.Exp(queries.Read(firstRow + row, channel) - statistics[row]) * statistics[32 + row];
    }

    /// <summary>Puts 32 × 32 softmaxed queries times <paramref name="scale"/> into a tile.</summary>
    public static void LoadQueries(ArrayView<F4> tile, int rowStride, int channelStride, ArrayView<float> statistics, HeadRows queries,
        int firstRow, int firstChannel, float scale, int thread)
    {
        var floats = tile.Cast<float>();
        int channel = thread & 31;
        for (int row = thread >> 5; row < AttentionTile.Size; row += 2)
        {
            floats[(row * rowStride) + (channel * channelStride)]
                = Query(statistics, queries, firstRow, row, firstChannel + channel) * scale;
        }
    }

    /// <summary>Stores a tile of one part's [D,D] matrix; parts are [part, N, Heads, D, D].</summary>
    public static void WritePart(LinearAttentionArguments a, HeadTile at, in Tile4x4 sum, int thread)
    {
        var part = HeadRows.OfContext(a.Parts, a.Shape, (Grid.IdxY * a.Shape.N) + at.N, at.Head);
        AttentionTile.Write(part, at.FirstRow, at.FirstChannel, sum, 1, 0, thread);
    }
}

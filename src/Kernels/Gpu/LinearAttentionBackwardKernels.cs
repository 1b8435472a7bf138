using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Linear attention, backward. With q̂ and k̂ the softmaxed queries (scaled) and keys: dContext = q̂ᵀ dy; dq̂ = dy contextᵀ; dv = k̂
/// dContext; dk̂ = v dContextᵀ; each softmax takes its own weighted mean off.
/// </summary>
internal static class LinearAttentionBackwardKernels
{
    /// <summary>
    /// parts[p, n, head, d, e] = Σ q̂[token, d] · dy[token, e] over the tokens of part p. A group owns 32 × 32 of (d, e) of one part and
    /// head. 9,728 bytes shared.
    /// </summary>
    public static void DContextOfPart(LinearAttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>((2 * AttentionTile.Room) + LinearAttentionTile.StatisticsRoom);
        var queryTile = shared.SubView(0, AttentionTile.Room);
        var upstreamTile = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var statistics = shared.SubView(2 * AttentionTile.Room, LinearAttentionTile.StatisticsRoom).Cast<float>();
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, s.D, s.D);
        var queries = HeadRows.OfQkv(a.Qkv, s, at.N, at.Head, 0);
        var upstream = HeadRows.OfOutput(a.Dy, s, at.N, at.Head);

        Tile4x4 sum = default;
        int end = Math.Min(s.T, (Grid.IdxY + 1) * LinearAttentionKernels.RowsOfContext);
        for (int row = Grid.IdxY * LinearAttentionKernels.RowsOfContext; row < end; row += AttentionTile.Size)
        {
            LinearAttentionTile.QueryStatistics(queryTile, statistics, queries, row, thread);
            LinearAttentionTile.LoadQueries(queryTile, AttentionTile.Pitch, 1, statistics, queries, row, at.FirstRow, s.QueryScale, thread);
            AttentionTile.LoadRowsAsDepth(upstreamTile, upstream, row, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref sum, queryTile, upstreamTile, thread);
        }
        LinearAttentionTile.WritePart(a, at, sum, thread);
    }

    /// <summary>
    /// dq: a group owns 32 tokens and all channels; it computes dq̂ once for the weighted means and once to store. 10,752 bytes shared.
    /// </summary>
    public static void BackwardQueries(LinearAttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>((2 * AttentionTile.Room) + LinearAttentionTile.StatisticsRoom + AttentionTile.Threads);
        var left = shared.SubView(0, AttentionTile.Room);
        var right = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var statistics = shared.SubView(2 * AttentionTile.Room, LinearAttentionTile.StatisticsRoom).Cast<float>();
        var scratch = shared.SubView((2 * AttentionTile.Room) + LinearAttentionTile.StatisticsRoom, AttentionTile.Threads);
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, s.T, AttentionTile.Size);
        var queries = HeadRows.OfQkv(a.Qkv, s, at.N, at.Head, 0);
        var upstream = HeadRows.OfOutput(a.Dy, s, at.N, at.Head);
        var context = HeadRows.OfContext(a.Context, s, at.N, at.Head);
        LinearAttentionTile.QueryStatistics(left, statistics, queries, at.FirstRow, thread);
        int row = (thread >> 3) << 2, column = (thread & 7) << 2;

        F4 mean = default;
        for (int channel = 0; channel < s.D; channel += AttentionTile.Size)
        {
            Tile4x4 slopes = default;
            AttentionTile.AddInnerProducts(ref slopes, upstream, at.FirstRow, context, channel, left, right, thread);
            mean.X += Dot(QueryRow(statistics, queries, at.FirstRow, row, channel + column), slopes.R0);
            mean.Y += Dot(QueryRow(statistics, queries, at.FirstRow, row + 1, channel + column), slopes.R1);
            mean.Z += Dot(QueryRow(statistics, queries, at.FirstRow, row + 2, channel + column), slopes.R2);
            mean.W += Dot(QueryRow(statistics, queries, at.FirstRow, row + 3, channel + column), slopes.R3);
        }
        mean = AttentionTile.SumOfRows(scratch, mean, thread);

        var target = HeadRows.OfQkv(a.DQkv, s, at.N, at.Head, 0);
        for (int channel = 0; channel < s.D; channel += AttentionTile.Size)
        {
            Tile4x4 slopes = default;
            AttentionTile.AddInnerProducts(ref slopes, upstream, at.FirstRow, context, channel, left, right, thread);
            slopes.R0 = Slope(QueryRow(statistics, queries, at.FirstRow, row, channel + column), slopes.R0, mean.X, s.QueryScale);
            slopes.R1 = Slope(QueryRow(statistics, queries, at.FirstRow, row + 1, channel + column), slopes.R1, mean.Y, s.QueryScale);
            slopes.R2 = Slope(QueryRow(statistics, queries, at.FirstRow, row + 2, channel + column), slopes.R2, mean.Z, s.QueryScale);
            slopes.R3 = Slope(QueryRow(statistics, queries, at.FirstRow, row + 3, channel + column), slopes.R3, mean.W, s.QueryScale);
            AttentionTile.Write(target, at.FirstRow, channel, slopes, a.DQkvMode, 0, thread);
        }
    }

    /// <summary>dk and dv: a group owns 32 rows (slots, then tokens) × 32 channels. 13,952 bytes shared.</summary>
    public static void BackwardKeys(LinearAttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>((3 * AttentionTile.Room) + (AttentionTile.Size >> 2));
        var left = shared.SubView(0, AttentionTile.Room);
        var right = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var keyTile = shared.SubView(2 * AttentionTile.Room, AttentionTile.Room);
        var means = shared.SubView(3 * AttentionTile.Room, AttentionTile.Size >> 2);
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, a.KeyRows, s.D);
        var keys = LinearAttentionTile.Keys(a, at.N, at.Head);
        var values = LinearAttentionTile.Values(a, at.N, at.Head);
        var context = HeadRows.OfContext(a.Context, s, at.N, at.Head);
        var dContext = HeadRows.OfContext(a.DContext, s, at.N, at.Head);

        // A key channel's mean over all rows, Σ k̂ dk̂, is the inner product of the channel's rows of context and dContext.
        if (thread < AttentionTile.Size)
        {
            float mean = 0;
            for (int e = 0; e < s.D; e++)
                mean += context.Read(at.FirstChannel + thread, e) * dContext.Read(at.FirstChannel + thread, e);
            means.Cast<float>()[thread] = mean;
        }

        Tile4x4 dValue = default, slopes = default;
        for (int channel = 0; channel < s.D; channel += AttentionTile.Size)
        {
            Group.Barrier();
            LinearAttentionTile.LoadKeys(keyTile, 1, AttentionTile.Pitch, a, at, keys, at.FirstRow, channel, thread);
            AttentionTile.LoadRowsAsDepth(right, dContext, channel, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref dValue, keyTile, right, thread);
        }
        AttentionTile.AddInnerProducts(ref slopes, values, at.FirstRow, dContext, at.FirstChannel, left, right, thread);
        int row = at.FirstRow + ((thread >> 3) << 2), column = at.FirstChannel + ((thread & 7) << 2);
        F4 mean4 = means[thread & 7];
        slopes.R0 = KeySlope(a, at, keys, row, column, slopes.R0, mean4);
        slopes.R1 = KeySlope(a, at, keys, row + 1, column, slopes.R1, mean4);
        slopes.R2 = KeySlope(a, at, keys, row + 2, column, slopes.R2, mean4);
        slopes.R3 = KeySlope(a, at, keys, row + 3, column, slopes.R3, mean4);

        int size = s.M * s.D, slot = ((at.N * 2 * s.Heads) + at.Head) * size;
        var dKeys = HeadRows.OfQkv(a.DQkv, s, at.N, at.Head, 1).Behind(a.DMemoryParts, slot, 1, s.M, s.M);
        var dValues = HeadRows.OfQkv(a.DQkv, s, at.N, at.Head, 2).Behind(a.DMemoryParts, slot + (s.Heads * size), 1, s.M, s.M);
        AttentionTile.Write(dKeys, at.FirstRow, at.FirstChannel, slopes, a.DQkvMode, a.DMemoryMode, thread);
        AttentionTile.Write(dValues, at.FirstRow, at.FirstChannel, dValue, a.DQkvMode, a.DMemoryMode, thread);
    }

    private static F4 QueryRow(ArrayView<float> statistics, HeadRows queries, int firstRow, int row, int channel) => new()
    {
        X = LinearAttentionTile.Query(statistics, queries, firstRow, row, channel),
        Y = LinearAttentionTile.Query(statistics, queries, firstRow, row, channel + 1),
        Z = LinearAttentionTile.Query(statistics, queries, firstRow, row, channel + 2),
        W = LinearAttentionTile.Query(statistics, queries, firstRow, row, channel + 3),
    };

    private static float Dot(F4 a, F4 b) => (a.X * b.X) + (a.Y * b.Y) + (a.Z * b.Z) + (a.W * b.W);

    private static F4 Slope(F4 weights, F4 slopes, float mean, float scale) => new()
    {
        X = weights.X * (slopes.X - mean) * scale,
        Y = weights.Y * (slopes.Y - mean) * scale,
        Z = weights.Z * (slopes.Z - mean) * scale,
        W = weights.W * (slopes.W - mean) * scale,
    };

    private static F4 KeySlope(LinearAttentionArguments a, HeadTile at, HeadRows keys, int row, int channel, F4 slopes, F4 means) => new()
    {
        X = LinearAttentionTile.Key(a, at, keys, row, channel) * (slopes.X - means.X),
        Y = LinearAttentionTile.Key(a, at, keys, row, channel + 1) * (slopes.Y - means.Y),
        Z = LinearAttentionTile.Key(a, at, keys, row, channel + 2) * (slopes.Z - means.Z),
        W = LinearAttentionTile.Key(a, at, keys, row, channel + 3) * (slopes.W - means.W),
    };
}

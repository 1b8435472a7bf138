using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What the kernels of linear attention are given; views that a kernel does not name are not read by it.</summary>
internal struct LinearAttentionArguments
{
    public AttentionShape Shape;
    public ArrayView<float> Qkv;

    /// <summary>[2,Heads,D,M].</summary>
    public ArrayView<float> Memory;

    /// <summary>[N,Heads,2,D]: maximum and sum of exponentials.</summary>
    public ArrayView<float> KeyStatistics;

    /// <summary>[N,Heads,D,D].</summary>
    public ArrayView<float> Context;

    public ArrayView<float> DContext;

    /// <summary>[N,T,Heads·D].</summary>
    public ArrayView<float> Y;

    public ArrayView<float> Dy;
    public ArrayView<float> DQkv;

    /// <summary>[N,2,Heads,D,M]: each sample's own gradient of the slots.</summary>
    public ArrayView<float> DMemoryParts;

    /// <summary>What a pass over a part of the rows leaves.</summary>
    public ArrayView<float> Parts;

    /// <summary>Parts that the rows are split into.</summary>
    public int PartCount;

    /// <summary>0 drops, 1 overwrites, 2 adds.</summary>
    public int DQkvMode;

    public int DMemoryMode;

    /// <summary>Slots, or slots and tokens: the rows whose key and value gradients are wanted.</summary>
    public int KeyRows;
}

/// <summary>Linear attention, forward: key statistics in two steps, context in parts of the rows, then the output.</summary>
internal static class LinearAttentionKernels
{
    /// <summary>Rows that one group of the statistics reads twice: they stay in its cache.</summary>
    public const int RowsOfStatistics = 512;

    /// <summary>Rows that one group adds to its part of the context.</summary>
    public const int RowsOfContext = 1024;

    private const int ColumnsOfGroup = 16;
    private const int RowLanes = 4;

    public static int StatisticsGroups(AttentionShape s) => (s.Width + ColumnsOfGroup - 1) / ColumnsOfGroup;

    /// <summary>
    /// Group (i, p, n) takes 16 key channels over the rows of part p: parts[n, p, 0 and 1, channel] = maximum, sum of exponentials.
    /// Thread t takes channel t % 16 of rows t / 16, t / 16 + 4, …; the four lanes meet in 256 bytes of shared memory.
    /// </summary>
    public static void KeyStatisticsOfPart(LinearAttentionArguments a)
    {
        var shared = SharedMemory.Allocate<float>(ColumnsOfGroup * RowLanes);
        int thread = Group.IdxX, lane = thread & 15;
        var s = a.Shape;
        int column = (Grid.IdxX * ColumnsOfGroup) + lane;
        int head = column / s.D;
        int first = (Grid.IdxY * RowsOfStatistics) + (thread >> 4);
        int end = Math.Min(s.M + s.T, (Grid.IdxY + 1) * RowsOfStatistics);
        if (column >= s.Width)
            end = 0;
        var keys = LinearAttentionTile.Keys(a, Grid.IdxZ, head);
        int channel = column - (head * s.D);

        float maximum = float.MinValue;
        for (int row = first; row < end; row += RowLanes)
            maximum = LinearAttentionTile.Max(maximum, keys.Read(row, channel));
        shared[thread] = maximum;
        Group.Barrier();
        maximum = LinearAttentionTile.Max(LinearAttentionTile.Max(shared[lane], shared[lane + 16]),
            LinearAttentionTile.Max(shared[lane + 32], shared[lane + 48]));
        Group.Barrier();
        float sum = 0;
        for (int row = first; row < end; row += RowLanes)
            sum += MathF.Exp(keys.Read(row, channel) - maximum);
        shared[thread] = sum;
        Group.Barrier();
        if (thread < ColumnsOfGroup && column < s.Width)
        {
            int offset = (((Grid.IdxZ * a.PartCount) + Grid.IdxY) * 2 * s.Width) + column;
            a.Parts[offset] = maximum;
            a.Parts[offset + s.Width] = shared[thread] + shared[thread + 16] + shared[thread + 32] + shared[thread + 48];
        }
    }

    /// <summary>
    /// parts[p, n, head, d, e] = Σ k̂[row, d] · v[row, e] over the rows of part p, k̂ being the softmaxed keys. A group owns 32 × 32 of
    /// (d, e) of one part and head. 9,216 bytes shared.
    /// </summary>
    public static void ContextOfPart(LinearAttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>(2 * AttentionTile.Room);
        var keyTile = shared.SubView(0, AttentionTile.Room);
        var valueTile = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, s.D, s.D);
        var keys = LinearAttentionTile.Keys(a, at.N, at.Head);
        var values = LinearAttentionTile.Values(a, at.N, at.Head);

        Tile4x4 sum = default;
        int end = Math.Min(keys.Count, (Grid.IdxY + 1) * RowsOfContext);
        for (int row = Grid.IdxY * RowsOfContext; row < end; row += AttentionTile.Size)
        {
            Group.Barrier();
            LinearAttentionTile.LoadKeys(keyTile, AttentionTile.Pitch, 1, a, at, keys, row, at.FirstRow, thread);
            AttentionTile.LoadRowsAsDepth(valueTile, values, row, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref sum, keyTile, valueTile, thread);
        }
        LinearAttentionTile.WritePart(a, at, sum, thread);
    }

    /// <summary>
    /// y[token, e] = Σ q̂[token, d] · context[d, e], q̂ being the softmaxed and scaled queries. A group owns 32 tokens × 32 channels.
    /// 9,728 bytes shared.
    /// </summary>
    public static void Output(LinearAttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>((2 * AttentionTile.Room) + LinearAttentionTile.StatisticsRoom);
        var queryTile = shared.SubView(0, AttentionTile.Room);
        var contextTile = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var statistics = shared.SubView(2 * AttentionTile.Room, LinearAttentionTile.StatisticsRoom).Cast<float>();
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, s.T, s.D);
        var queries = HeadRows.OfQkv(a.Qkv, s, at.N, at.Head, 0);
        var context = HeadRows.OfContext(a.Context, s, at.N, at.Head);
        LinearAttentionTile.QueryStatistics(queryTile, statistics, queries, at.FirstRow, thread);

        Tile4x4 sum = default;
        for (int channel = 0; channel < s.D; channel += AttentionTile.Size)
        {
            Group.Barrier();
            LinearAttentionTile.LoadQueries(queryTile, 1, AttentionTile.Pitch, statistics, queries, at.FirstRow, channel, s.QueryScale,
                thread);
            AttentionTile.LoadRowsAsDepth(contextTile, context, channel, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref sum, queryTile, contextTile, thread);
        }
        AttentionTile.Write(HeadRows.OfOutput(a.Y, s, at.N, at.Head), at.FirstRow, at.FirstChannel, sum, 1, 0, thread);
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>What the kernels of full attention are given; views that a kernel does not name are not read by it.</summary>
internal struct AttentionArguments
{
    public AttentionShape Shape;
    public ArrayView<float> Qkv;
    public ArrayView<float> Memory;

    /// <summary>[N,T,Heads·D].</summary>
    public ArrayView<float> Y;

    /// <summary>[N,Heads,T].</summary>
    public ArrayView<float> LogSumExp;

    public ArrayView<float> Dy;

    /// <summary>[N,Heads,T]: dy · y of each query.</summary>
    public ArrayView<float> Delta;

    public ArrayView<float> DQkv;

    /// <summary>[N,2,Heads,M,D]: each sample's own gradient of the slots.</summary>
    public ArrayView<float> DMemoryParts;

    /// <summary>0 drops, 1 overwrites, 2 adds.</summary>
    public int DQkvMode;

    public int DMemoryMode;

    /// <summary>Slots, or slots and tokens: the rows whose key and value gradients are wanted.</summary>
    public int KeyRows;
}

/// <summary>
/// Full attention without its matrix of weights in memory: a group owns 32 queries (or keys) and 32 channels of the result and walks over
/// the other side in tiles of 32, slots first.
/// </summary>
/// <remarks>Wider heads compute the weights once per chunk of 32 channels. Every sum runs in the order of the keys or queries.</remarks>
internal static class AttentionKernels
{
    /// <summary>y and logSumExp with the running maximum of Milakov and Gimelshein, 2018. 19,456 bytes shared.</summary>
    public static void Forward(AttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>((4 * AttentionTile.Room) + AttentionTile.Threads);
        var left = shared.SubView(0, AttentionTile.Room);
        var right = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var weights = shared.SubView(2 * AttentionTile.Room, AttentionTile.Room);
        var valueTile = shared.SubView(3 * AttentionTile.Room, AttentionTile.Room);
        var scratch = shared.SubView(4 * AttentionTile.Room, AttentionTile.Threads);
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, s.T, s.D);
        var queries = HeadRows.OfQkv(a.Qkv, s, at.N, at.Head, 0);
        var keys = Keys(a, at);
        var values = Values(a, at);

        Tile4x4 sum = default;
        F4 maximum = F4.Of(float.MinValue), total = default;
        for (int key = 0; key < keys.Count; key += AttentionTile.Size)
        {
            Tile4x4 scores = default;
            AttentionTile.AddInnerProducts(ref scores, queries, at.FirstRow, keys, key, left, right, thread);
            int valid = keys.Count - key - ((thread & 7) << 2);
            scores.R0 = Limit(F4.Scale(scores.R0, s.QueryScale), valid);
            scores.R1 = Limit(F4.Scale(scores.R1, s.QueryScale), valid);
            scores.R2 = Limit(F4.Scale(scores.R2, s.QueryScale), valid);
            scores.R3 = Limit(F4.Scale(scores.R3, s.QueryScale), valid);
            F4 own = new() { X = Largest(scores.R0), Y = Largest(scores.R1), Z = Largest(scores.R2), W = Largest(scores.R3) };
            F4 next = Max(maximum, MaxOfRows(scratch, own, thread));
            F4 shrink = new()
            {
                X = MathF.Exp(maximum.X - next.X),
                Y = MathF.Exp(maximum.Y - next.Y),
                Z = MathF.Exp(maximum.Z - next.Z),
                W = MathF.Exp(maximum.W - next.W),
            };
            maximum = next;
            scores.R0 = Exp(scores.R0, next.X);
            scores.R1 = Exp(scores.R1, next.Y);
            scores.R2 = Exp(scores.R2, next.Z);
            scores.R3 = Exp(scores.R3, next.W);
            total.X = (total.X * shrink.X) + Sum(scores.R0);
            total.Y = (total.Y * shrink.Y) + Sum(scores.R1);
            total.Z = (total.Z * shrink.Z) + Sum(scores.R2);
            total.W = (total.W * shrink.W) + Sum(scores.R3);
            sum.R0 = F4.Scale(sum.R0, shrink.X);
            sum.R1 = F4.Scale(sum.R1, shrink.Y);
            sum.R2 = F4.Scale(sum.R2, shrink.Z);
            sum.R3 = F4.Scale(sum.R3, shrink.W);
            AttentionTile.PutColumnsAsDepth(weights, scores, thread);
            AttentionTile.LoadRowsAsDepth(valueTile, values, key, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref sum, weights, valueTile, thread);
        }

        total = AttentionTile.SumOfRows(scratch, total, thread);
        sum.R0 = F4.Scale(sum.R0, 1 / total.X);
        sum.R1 = F4.Scale(sum.R1, 1 / total.Y);
        sum.R2 = F4.Scale(sum.R2, 1 / total.Z);
        sum.R3 = F4.Scale(sum.R3, 1 / total.W);
        AttentionTile.Write(HeadRows.OfOutput(a.Y, s, at.N, at.Head), at.FirstRow, at.FirstChannel, sum, 1, 0, thread);
        if (at.FirstChannel == 0 && (thread & 7) == 0)
        {
            int query = at.FirstRow + ((thread >> 3) << 2), offset = ((at.N * s.Heads) + at.Head) * s.T;
            if (query < s.T)
                a.LogSumExp[offset + query] = maximum.X + MathF.Log(total.X);
            if (query + 1 < s.T)
                a.LogSumExp[offset + query + 1] = maximum.Y + MathF.Log(total.Y);
            if (query + 2 < s.T)
                a.LogSumExp[offset + query + 2] = maximum.Z + MathF.Log(total.Z);
            if (query + 3 < s.T)
                a.LogSumExp[offset + query + 3] = maximum.W + MathF.Log(total.W);
        }
    }

    /// <summary>dq: a group owns 32 queries and walks over the keys. 18,432 bytes shared.</summary>
    public static void BackwardQueries(AttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>(4 * AttentionTile.Room);
        var left = shared.SubView(0, AttentionTile.Room);
        var right = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var weights = shared.SubView(2 * AttentionTile.Room, AttentionTile.Room);
        var keyTile = shared.SubView(3 * AttentionTile.Room, AttentionTile.Room);
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, s.T, s.D);
        var queries = HeadRows.OfQkv(a.Qkv, s, at.N, at.Head, 0);
        var keys = Keys(a, at);
        var values = Values(a, at);
        var upstream = HeadRows.OfOutput(a.Dy, s, at.N, at.Head);
        int query = at.FirstRow + ((thread >> 3) << 2), offset = ((at.N * s.Heads) + at.Head) * s.T;
        F4 logSumExp = ResultRow<OneWide>.Get(a.LogSumExp, offset, query, s.T);
        F4 delta = ResultRow<OneWide>.Get(a.Delta, offset, query, s.T);

        Tile4x4 sum = default;
        for (int key = 0; key < keys.Count; key += AttentionTile.Size)
        {
            Tile4x4 scores = default, products = default;
            AttentionTile.AddInnerProducts(ref scores, queries, at.FirstRow, keys, key, left, right, thread);
            AttentionTile.AddInnerProducts(ref products, upstream, at.FirstRow, values, key, left, right, thread);
            int valid = keys.Count - key - ((thread & 7) << 2);
            scores.R0 = Limit(F4.Scale(scores.R0, s.QueryScale), valid);
            scores.R1 = Limit(F4.Scale(scores.R1, s.QueryScale), valid);
            scores.R2 = Limit(F4.Scale(scores.R2, s.QueryScale), valid);
            scores.R3 = Limit(F4.Scale(scores.R3, s.QueryScale), valid);
            scores.R0 = ScoreGradient(Exp(scores.R0, logSumExp.X), products.R0, F4.Of(delta.X), s.QueryScale);
            scores.R1 = ScoreGradient(Exp(scores.R1, logSumExp.Y), products.R1, F4.Of(delta.Y), s.QueryScale);
            scores.R2 = ScoreGradient(Exp(scores.R2, logSumExp.Z), products.R2, F4.Of(delta.Z), s.QueryScale);
            scores.R3 = ScoreGradient(Exp(scores.R3, logSumExp.W), products.R3, F4.Of(delta.W), s.QueryScale);
            AttentionTile.PutColumnsAsDepth(weights, scores, thread);
            AttentionTile.LoadRowsAsDepth(keyTile, keys, key, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref sum, weights, keyTile, thread);
        }
        AttentionTile.Write(HeadRows.OfQkv(a.DQkv, s, at.N, at.Head, 0), at.FirstRow, at.FirstChannel, sum, a.DQkvMode, 0, thread);
    }

    /// <summary>dk and dv: a group owns 32 keys and walks over the queries. 27,648 bytes shared.</summary>
    public static void BackwardKeys(AttentionArguments a)
    {
        var shared = SharedMemory.Allocate<F4>(6 * AttentionTile.Room);
        var left = shared.SubView(0, AttentionTile.Room);
        var right = shared.SubView(AttentionTile.Room, AttentionTile.Room);
        var weights = shared.SubView(2 * AttentionTile.Room, AttentionTile.Room);
        var slopes = shared.SubView(3 * AttentionTile.Room, AttentionTile.Room);
        var upstreamTile = shared.SubView(4 * AttentionTile.Room, AttentionTile.Room);
        var queryTile = shared.SubView(5 * AttentionTile.Room, AttentionTile.Room);
        int thread = Group.IdxX;
        var s = a.Shape;
        var at = HeadTile.Of(Grid.IdxX, s, a.KeyRows, s.D);
        var queries = HeadRows.OfQkv(a.Qkv, s, at.N, at.Head, 0);
        var keys = Keys(a, at);
        var values = Values(a, at);
        var upstream = HeadRows.OfOutput(a.Dy, s, at.N, at.Head);
        int offset = ((at.N * s.Heads) + at.Head) * s.T;

        Tile4x4 dKey = default, dValue = default;
        for (int query = 0; query < s.T; query += AttentionTile.Size)
        {
            Tile4x4 scores = default, products = default;
            AttentionTile.AddInnerProducts(ref scores, keys, at.FirstRow, queries, query, left, right, thread);
            AttentionTile.AddInnerProducts(ref products, values, at.FirstRow, upstream, query, left, right, thread);
            int first = query + ((thread & 7) << 2), valid = s.T - first;
            F4 logSumExp = ResultRow<OneWide>.Get(a.LogSumExp, offset, first, s.T);
            F4 delta = ResultRow<OneWide>.Get(a.Delta, offset, first, s.T);
            scores.R0 = Weights(scores.R0, logSumExp, s.QueryScale, valid);
            scores.R1 = Weights(scores.R1, logSumExp, s.QueryScale, valid);
            scores.R2 = Weights(scores.R2, logSumExp, s.QueryScale, valid);
            scores.R3 = Weights(scores.R3, logSumExp, s.QueryScale, valid);
            AttentionTile.PutColumnsAsDepth(weights, scores, thread);
            scores.R0 = ScoreGradient(scores.R0, products.R0, delta, s.QueryScale);
            scores.R1 = ScoreGradient(scores.R1, products.R1, delta, s.QueryScale);
            scores.R2 = ScoreGradient(scores.R2, products.R2, delta, s.QueryScale);
            scores.R3 = ScoreGradient(scores.R3, products.R3, delta, s.QueryScale);
            AttentionTile.PutColumnsAsDepth(slopes, scores, thread);
            AttentionTile.LoadRowsAsDepth(upstreamTile, upstream, query, at.FirstChannel, thread);
            AttentionTile.LoadRowsAsDepth(queryTile, queries, query, at.FirstChannel, thread);
            Group.Barrier();
            AttentionTile.AddProduct(ref dValue, weights, upstreamTile, thread);
            AttentionTile.AddProduct(ref dKey, slopes, queryTile, thread);
        }

        int size = s.M * s.D, slot = ((at.N * 2 * s.Heads) + at.Head) * size;
        var dKeys = HeadRows.OfQkv(a.DQkv, s, at.N, at.Head, 1).Behind(a.DMemoryParts, slot, s.D, 1, s.M);
        var dValues = HeadRows.OfQkv(a.DQkv, s, at.N, at.Head, 2).Behind(a.DMemoryParts, slot + (s.Heads * size), s.D, 1, s.M);
        AttentionTile.Write(dKeys, at.FirstRow, at.FirstChannel, dKey, a.DQkvMode, a.DMemoryMode, thread);
        AttentionTile.Write(dValues, at.FirstRow, at.FirstChannel, dValue, a.DQkvMode, a.DMemoryMode, thread);
    }

    private static HeadRows Keys(AttentionArguments a, HeadTile at)
        => HeadRows.OfQkv(a.Qkv, a.Shape, at.N, at.Head, 1)
            .Behind(a.Memory, at.Head * a.Shape.M * a.Shape.D, a.Shape.D, 1, a.Shape.M);

    private static HeadRows Values(AttentionArguments a, HeadTile at)
        => HeadRows.OfQkv(a.Qkv, a.Shape, at.N, at.Head, 2)
            .Behind(a.Memory, (a.Shape.Heads + at.Head) * a.Shape.M * a.Shape.D, a.Shape.D, 1, a.Shape.M);

    /// <summary>Scores past the last key weigh nothing.</summary>
    private static F4 Limit(F4 scores, int valid) => new()
    {
        X = valid > 0 ? scores.X : float.MinValue,
        Y = valid > 1 ? scores.Y : float.MinValue,
        Z = valid > 2 ? scores.Z : float.MinValue,
        W = valid > 3 ? scores.W : float.MinValue,
    };

    /// <summary>Weights of one key for four queries.</summary>
    private static F4 Weights(F4 scores, F4 logSumExp, float scale, int valid) => new()
    {
        X = valid > 0 ? MathF.Exp((scores.X * scale) - logSumExp.X) : 0,
        Y = valid > 1 ? MathF.Exp((scores.Y * scale) - logSumExp.Y) : 0,
        Z = valid > 2 ? MathF.Exp((scores.Z * scale) - logSumExp.Z) : 0,
        W = valid > 3 ? MathF.Exp((scores.W * scale) - logSumExp.W) : 0,
    };

    private static F4 ScoreGradient(F4 weights, F4 products, F4 delta, float scale) => new()
    {
        X = weights.X * (products.X - delta.X) * scale,
        Y = weights.Y * (products.Y - delta.Y) * scale,
        Z = weights.Z * (products.Z - delta.Z) * scale,
        W = weights.W * (products.W - delta.W) * scale,
    };

    private static F4 Exp(F4 scores, float shift) => new()
    {
        X = MathF.Exp(scores.X - shift),
        Y = MathF.Exp(scores.Y - shift),
        Z = MathF.Exp(scores.Z - shift),
        W = MathF.Exp(scores.W - shift),
    };

    private static float Sum(F4 v) => v.X + v.Y + v.Z + v.W;

    private static float Max(float a, float b) => a > b ? a : b;

    private static F4 Max(F4 a, F4 b) => new() { X = Max(a.X, b.X), Y = Max(a.Y, b.Y), Z = Max(a.Z, b.Z), W = Max(a.W, b.W) };

    private static float Largest(F4 v) => Max(Max(v.X, v.Y), Max(v.Z, v.W));

    /// <summary>The largest value of each of four rows over the eight threads that share them.</summary>
    private static F4 MaxOfRows(ArrayView<F4> scratch, F4 own, int thread)
    {
        scratch[((thread & 7) << 3) + (thread >> 3)] = own;
        Group.Barrier();
        for (int i = thread >> 3; i < AttentionTile.Threads; i += 8)
            own = Max(own, scratch[i]);
        return own;
    }
}

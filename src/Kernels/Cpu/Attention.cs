using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    /// <summary>Queries of a block: they lie along the lanes, so that sums and maxima over keys need no step across lanes.</summary>
    private const int QueryBlock = 64;

    // A work item is a block of queries of one head. It walks over all keys once and keeps, per query, the largest score so far, the sum of
    // exponentials and the weighted sum of values (Dao et al., 2022).
    public override void AttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp)
    {
        var shape = s;
        var heads = new AttentionHeads(s, Pointer(qkv), Pointer(memory));
        float* py = Pointer(y), pl = Pointer(logSumExp);
        int blocks = (s.T + QueryBlock - 1) / QueryBlock;
        ForkJoinPool.Run(s.N * s.Heads * blocks, item =>
        {
            int head = item / blocks % shape.Heads, sample = item / blocks / shape.Heads, first = item % blocks * QueryBlock;
            int queries = Math.Min(QueryBlock, shape.T - first), columns = Simd.Padded(queries);
            float* q = Scratch.ForItem(((2L * shape.D) + heads.LargestKeyBlock + 2) * QueryBlock);
            float* weighted = q + (shape.D * QueryBlock), scores = weighted + (shape.D * QueryBlock);
            float* largest = scores + (heads.LargestKeyBlock * QueryBlock), sums = largest + QueryBlock;
            Transpose(heads.Queries(sample, head, first), heads.Stride, queries, shape.D, shape.QueryScale, q);
            new Span<float>(weighted, shape.D * QueryBlock).Clear();
            new Span<float>(largest, QueryBlock).Fill(float.NegativeInfinity);
            new Span<float>(sums, QueryBlock).Clear();
            for (int block = 0; block < heads.KeyBlocks; block++)
            {
                var keys = heads.Keys(sample, head, block);
                SmallProduct.Run(keys.Key, keys.Stride, 1, q, QueryBlock, scores, QueryBlock, keys.Count, columns, shape.D, false);
                for (int c = 0; c < columns; c += Simd.Width)
                    Weigh(scores + c, keys.Count, shape.D, largest + c, sums + c, weighted + c);
                SmallProduct.Run(keys.Value, 1, keys.Stride, scores, QueryBlock, weighted, QueryBlock, shape.D, columns, keys.Count, true);
            }
            float* log = pl + ((((long)sample * shape.Heads) + head) * shape.T) + first;
            float* target = py + ((((long)sample * shape.T) + first) * shape.Width) + (head * shape.D);
            for (int i = 0; i < queries; i++)
            {
                log[i] = largest[i] + MathF.Log(sums[i]);
                for (int d = 0; d < shape.D; d++)
                    target[((long)i * shape.Width) + d] = weighted[(d * QueryBlock) + i] / sums[i];
            }
        }, parallel: (long)s.N * s.Heads * s.T * (s.T + s.M) * s.D > 1 << 17);
    }

    // A work item is one head: the gradients of its keys and values are summed over its queries in a fixed order.
    public override void AttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp, Tensor dy,
        GradientTarget dQkv, GradientTarget dMemory)
    {
        var shape = s;
        var heads = new AttentionHeads(s, Pointer(qkv), Pointer(memory));
        float* py = Pointer(y), pl = Pointer(logSumExp), pdy = Pointer(dy), pdq = PointerOrNull(dQkv.Tensor);
        int padded = Simd.Padded(s.D), memoryValues = s.M * s.D;
        float* dSlots = Scratch.ForOp<float>(2L * s.N * s.Heads * memoryValues);
        ForkJoinPool.Run(s.N * s.Heads, item =>
        {
            int head = item % shape.Heads, sample = item / shape.Heads, total = shape.M + shape.T;
            float* dKeys = Scratch.ForItem((2L * total * padded) + GradientBlock.Room(shape)), dValues = dKeys + ((long)total * padded);
            var block = new GradientBlock(shape, dValues + ((long)total * padded));
            new Span<float>(dKeys, 2 * total * padded).Clear();
            for (int first = 0; first < shape.T; first += QueryBlock)
            {
                long at = (((long)sample * shape.T) + first) * shape.Width + (head * shape.D);
                block.Begin(Math.Min(QueryBlock, shape.T - first), heads.Queries(sample, head, first), heads.Stride, py + at, pdy + at,
                    pl + ((long)item * shape.T) + first);
                for (int keyBlock = 0, key = 0; keyBlock < heads.KeyBlocks; keyBlock++)
                {
                    var keys = heads.Keys(sample, head, keyBlock);
                    block.Add(keys, dKeys + ((long)key * padded), dValues + ((long)key * padded));
                    key += keys.Count;
                }
                if (pdq is not null)
                    block.StoreQueries(pdq + (heads.Queries(sample, head, first) - heads.Qkv), heads.Stride, dQkv.Accumulate);
            }
            for (int slot = 0; slot < shape.M; slot++)
                for (int d = 0; d < shape.D; d++)
                {
                    dSlots[(2L * item * memoryValues) + (slot * shape.D) + d] = dKeys[(slot * padded) + d];
                    dSlots[(((2L * item) + 1) * memoryValues) + (slot * shape.D) + d] = dValues[(slot * padded) + d];
                }
            if (pdq is null)
                return;
            float* target = pdq + (heads.Queries(sample, head, 0) - heads.Qkv) + shape.Width;
            for (int t = 0; t < shape.T; t++, target += heads.Stride)
                for (int d = 0; d < shape.D; d += Simd.Width)
                {
                    long at = ((long)(shape.M + t) * padded) + d;
                    Simd.Store(Vector512.Load(dKeys + at), target + d, shape.D - d, dQkv.Accumulate);
                    Simd.Store(Vector512.Load(dValues + at), target + shape.Width + d, shape.D - d, dQkv.Accumulate);
                }
        }, parallel: (long)s.N * s.Heads * s.T * (s.T + s.M) * s.D > 1 << 16);
        AddMemoryGradients(s, dSlots, dMemory);
    }

    /// <summary>dMemory [2,Heads,values] from the parts [N,Heads,2,values] of the samples, in their order.</summary>
    private static void AddMemoryGradients(in AttentionShape s, float* parts, GradientTarget dMemory)
    {
        if (dMemory.Tensor is null)
            return;
        float* target = Pointer(dMemory.Tensor);
        int values = s.M * s.D;
        for (int side = 0; side < 2; side++)
            for (int i = 0; i < s.Heads * values; i++, target++)
            {
                double sum = 0;
                for (int sample = 0; sample < s.N; sample++)
                    sum += parts[((((((long)sample * s.Heads) + (i / values)) * 2) + side) * values) + (i % values)];
                *target = (float)(dMemory.Accumulate ? *target + sum : sum);
            }
    }

    /// <summary>Turns the scores of sixteen queries into weights, after shrinking what was gathered under a smaller maximum.</summary>
    private static void Weigh(float* scores, int keys, int d, float* largest, float* sums, float* weighted)
    {
        var before = Vector512.Load(largest);
        var now = before;
        for (int k = 0; k < keys; k++)
            now = Vector512.MaxNative(now, Vector512.Load(scores + (k * QueryBlock)));
        var sum = Lanes.Zero;
        for (int k = 0; k < keys; k++)
        {
            var e = Simd.Exp(Vector512.Load(scores + (k * QueryBlock)) - now);
            e.Store(scores + (k * QueryBlock));
            sum += e;
        }
        var shrink = Simd.Exp(before - now);
        for (int i = 0; i < d; i++)
            (Vector512.Load(weighted + (i * QueryBlock)) * shrink).Store(weighted + (i * QueryBlock));
        Simd.MultiplyAdd(Vector512.Load(sums), shrink, sum).Store(sums);
        now.Store(largest);
    }

    /// <summary>Writes rows [count,d] as columns of [d,QueryBlock], times a factor; columns past the last are zero.</summary>
    private static void Transpose(float* rows, long stride, int count, int d, float factor, float* columns)
    {
        if (count < QueryBlock)
            new Span<float>(columns, d * QueryBlock).Clear();
        for (int i = 0; i < count; i++)
            for (int j = 0; j < d; j++)
                columns[(j * QueryBlock) + i] = rows[(i * stride) + j] * factor;
    }
}

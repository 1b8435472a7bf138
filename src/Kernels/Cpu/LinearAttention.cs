using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    // Three parallel steps: every chunk of tokens sums its keys' exponentials and their products with the values under its own maxima;
    // every head joins its chunks in their order; every chunk reads the result through its queries.
    public override void LinearAttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor keyStatistics,
        Tensor context)
    {
        var shape = s;
        var heads = new LinearAttentionHeads(s, Pointer(qkv), Pointer(memory));
        float* py = Pointer(y), pk = Pointer(keyStatistics), pc = Pointer(context);
        int padded = Simd.Padded(s.D), chunks = heads.Chunks, partial = (s.D + 2) * padded;
        bool parallel = (long)s.N * s.T * s.Width > 1 << 14;
        float* partials = Scratch.ForOp<float>((long)s.N * s.Heads * chunks * partial);
        ForkJoinPool.Run(s.N * chunks, item =>
        {
            int sample = item / chunks, chunk = item % chunks;
            heads.Summarise(sample, chunk, partials + ((((long)sample * shape.Heads * chunks) + chunk) * partial), (long)chunks * partial);
        }, parallel);
        ForkJoinPool.Run(s.N * s.Heads, head => heads.Join(partials + ((long)head * chunks * partial), pk + (2L * head * shape.D),
            pc + ((long)head * shape.D * shape.D)), parallel);
        ForkJoinPool.Run(s.N * chunks, item =>
        {
            int sample = item / chunks, chunk = item % chunks;
            heads.Read(sample, chunk, pc + ((long)sample * shape.Heads * shape.D * shape.D), py);
        }, parallel);
    }

    // Chunks sum q dyᵀ and write dq; heads join the sums into dContext; chunks write dk and dv. Σ over the tokens of a key's weight times
    // its gradient, which a softmax over tokens asks for, is the row sum of context · dContext.
    public override void LinearAttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor keyStatistics, Tensor context,
        Tensor dy, Tensor dContext, GradientTarget dQkv, GradientTarget dMemory)
    {
        var shape = s;
        var heads = new LinearAttentionHeads(s, Pointer(qkv), Pointer(memory));
        float* pk = Pointer(keyStatistics), pc = Pointer(context), pdy = Pointer(dy), pdc = Pointer(dContext);
        int padded = Simd.Padded(s.D), chunks = heads.Chunks, square = s.D * s.D, partial = s.D * padded;
        int memoryValues = s.M * s.D;
        bool parallel = (long)s.N * s.T * s.Width > 1 << 14;
        long partialCount = (long)s.N * s.Heads * chunks * partial;
        float* partials = Scratch.ForOp<float>(partialCount + (2L * s.N * s.Heads * memoryValues)), dSlots = partials + partialCount;
        ForkJoinPool.Run(s.N * chunks, item =>
        {
            int sample = item / chunks, chunk = item % chunks;
            long first = (long)sample * shape.Heads;
            heads.ReadGradient(sample, chunk, pc + (first * square), pdy, partials + (((first * chunks) + chunk) * partial),
                (long)chunks * partial, dQkv);
        }, parallel);
        ForkJoinPool.Run(s.N * s.Heads, head =>
        {
            float* sums = partials + ((long)head * chunks * partial);
            for (int row = 0; row < shape.D; row++)
                for (int column = 0; column < shape.D; column++)
                {
                    float sum = 0;
                    for (int chunk = 0; chunk < chunks; chunk++)
                        sum += sums[((long)chunk * partial) + (row * padded) + column];
                    pdc[((long)head * square) + (row * shape.D) + column] = sum;
                }
        }, parallel);
        ForkJoinPool.Run(s.N * chunks, item =>
        {
            int sample = item / chunks, chunk = item % chunks;
            long first = (long)sample * shape.Heads;
            heads.SummaryGradient(sample, chunk, pk + (2 * first * shape.D), pc + (first * square), pdc + (first * square), dQkv,
                dSlots + (2 * first * memoryValues));
        }, parallel);
        AddMemoryGradients(s, dSlots, dMemory);
    }
}

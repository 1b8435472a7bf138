namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Multi-head attention of tokens over learned memory slots and themselves: softmax(q kᵀ / √D) v.</summary>
    /// <param name="qkv">[N, T, 3·heads·D]: queries, keys, values, each head after head.</param>
    /// <param name="memory">[2, heads, M, D]: learned keys and values, placed before the tokens.</param>
    /// <returns>[N, T, heads·D].</returns>
    /// <exception cref="ShapeException">The channels are not 3·heads·D of the memory's heads and D.</exception>
    /// <remarks>Vaswani et al., 2017; denoising-diffusion-pytorch, Attention. Gradients: qkv, memory.</remarks>
    public Tensor Attention(Tensor qkv, Tensor memory)
    {
        var shape = CheckAttention(nameof(Attention), qkv, memory, memorySlots: 2, width: 3);
        var y = New([shape.N, shape.T, shape.Width]);
        var logSumExp = New([shape.N, shape.Heads, shape.T]);
        Backend.AttentionForward(shape, qkv, memory, y, logSumExp);
        return Record(y, [qkv, memory], [qkv, memory, y, logSumExp], (gradients, dy) => Backend.AttentionBackward(shape, qkv, memory, y,
            logSumExp, dy, gradients.To(qkv), gradients.To(memory)));
    }

    /// <param name="op">For the message.</param>
    /// <param name="qkv">[N, T, 3·heads·D].</param>
    /// <param name="memory">[2, heads, ·, ·].</param>
    /// <param name="memorySlots">The axis of memory that holds M.</param>
    /// <param name="width">The axis of memory that holds D.</param>
    private static AttentionShape CheckAttention(string op, Tensor qkv, Tensor memory, int memorySlots, int width)
    {
        ArgumentNullException.ThrowIfNull(qkv);
        ArgumentNullException.ThrowIfNull(memory);
        Check.Rank(qkv, 3, "[N, T, 3·heads·D]", op);
        Check.Rank(memory, 4, width == 3 ? "[2, heads, M, D]" : "[2, heads, D, M]", op);
        Check.That(memory.Shape[0] == 2, nameof(memory), memory.Shape, "2 (keys, values) on the first axis", op);
        int heads = memory.Shape[1], d = memory.Shape[width];
        Check.That(qkv.Shape[2] == 3 * heads * d, nameof(qkv), qkv.Shape, $"[N, T, {3 * heads * d}] for a memory {memory.Shape}", op);
        return new AttentionShape(qkv.Shape[0], qkv.Shape[1], heads, d, memory.Shape[memorySlots]);
    }
}

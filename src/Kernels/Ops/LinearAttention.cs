namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Attention at a cost linear in the tokens: queries read a D×D summary of all keys and values.</summary>
    /// <param name="qkv">[N, T, 3·heads·D]: queries, keys, values, each head after head.</param>
    /// <param name="memory">[2, heads, D, M]: learned keys and values, placed before the tokens.</param>
    /// <returns>[N, T, heads·D].</returns>
    /// <exception cref="ShapeException">The channels are not 3·heads·D of the memory's heads and D.</exception>
    /// <remarks>Shen et al., 2018 (Efficient Attention); denoising-diffusion-pytorch, LinearAttention: q is softmaxed over the features
    /// and scaled by D^-½, k over the positions, memory included. Gradients: qkv, memory.</remarks>
    public Tensor LinearAttention(Tensor qkv, Tensor memory)
    {
        var shape = CheckAttention(nameof(LinearAttention), qkv, memory, memorySlots: 3, width: 2);
        var y = New([shape.N, shape.T, shape.Width]);
        var keyStatistics = New([shape.N, shape.Heads, 2, shape.D]);
        var context = New([shape.N, shape.Heads, shape.D, shape.D]);
        Backend.LinearAttentionForward(shape, qkv, memory, y, keyStatistics, context);
        return Record(y, [qkv, memory], [qkv, memory, keyStatistics, context], (gradients, dy) => Backend.LinearAttentionBackward(shape,
            qkv, memory, keyStatistics, context, dy, gradients.New(context.Shape), gradients.To(qkv), gradients.To(memory)));
    }
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>What both kinds of attention share: the norm before, the projection to queries, keys and values, and learned memory.</summary>
internal abstract class AttentionLayer : ILayer
{
    /// <summary>Learned keys and values per head.</summary>
    protected const int MemorySlots = 4;

    private readonly Parameter _memory;
    private readonly RmsNorm _norm;
    private readonly Conv2D _projection;

    protected AttentionLayer(WeightScope scope, int channels, int heads, int headChannels, Shape memory)
    {
        _memory = scope.Parameter("mem_kv", memory, Initialise.Normal);
        _norm = new RmsNorm(scope.Child("norm"), channels);
        _projection = new Conv2D(scope.Child("to_qkv"), channels, 3 * heads * headChannels, size: 1, bias: false);
    }

    /// <summary>Attends over all pixels and adds the input: [N, H, W, C] to the same shape.</summary>
    public Tensor Forward(Tape tape, Tensor x)
    {
        using var scope = tape.Scope();
        int n = x.Shape[0], h = x.Shape[1], w = x.Shape[2];
        var qkv = _projection.Forward(tape, _norm.Forward(tape, x));
        var attended = Attend(tape, qkv.Reshape([n, h * w, qkv.Shape[3]]), _memory);
        return scope.Keep(Finish(tape, attended.Reshape([n, h, w, attended.Shape[2]]), x));
    }

    /// <param name="qkv">[N, T, 3·heads·D].</param>
    /// <param name="memory">As the op wants it.</param>
    /// <returns>[N, T, heads·D].</returns>
    protected abstract Tensor Attend(Tape tape, Tensor qkv, Tensor memory);

    /// <summary>Projects back to the input's channels and adds the input.</summary>
    protected abstract Tensor Finish(Tape tape, Tensor attended, Tensor input);
}

/// <summary>Attention at a cost quadratic in the pixels, around its input.</summary>
/// <remarks>denoising-diffusion-pytorch, Attention.</remarks>
internal sealed class Attention : AttentionLayer
{
    private readonly Conv2D _output;

    public Attention(WeightScope scope, int channels, int heads, int headChannels)
        : base(scope, channels, heads, headChannels, [2, heads, MemorySlots, headChannels])
    {
        _output = new Conv2D(scope.Child("to_out"), heads * headChannels, channels, size: 1);
    }

    protected override Tensor Attend(Tape tape, Tensor qkv, Tensor memory) => tape.Attention(qkv, memory);

    protected override Tensor Finish(Tape tape, Tensor attended, Tensor input) => _output.Forward(tape, attended, residual: input);
}

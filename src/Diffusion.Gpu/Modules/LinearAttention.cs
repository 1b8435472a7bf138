using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Attention at a cost linear in the pixels, around its input; the result is normalised before it is added.</summary>
/// <remarks>denoising-diffusion-pytorch, LinearAttention.</remarks>
internal sealed class LinearAttention : AttentionLayer
{
    private readonly Conv2D _output;
    private readonly RmsNorm _outputNorm;

    public LinearAttention(WeightScope scope, int channels, int heads, int headChannels)
        : base(scope, channels, heads, headChannels, [2, heads, headChannels, MemorySlots])
    {
        _output = new Conv2D(scope.Child("to_out.0"), heads * headChannels, channels, size: 1);
        _outputNorm = new RmsNorm(scope.Child("to_out.1"), channels);
    }

    protected override Tensor Attend(Tape tape, Tensor qkv, Tensor memory) => tape.LinearAttention(qkv, memory);

    protected override Tensor Finish(Tape tape, Tensor attended, Tensor input)
        => tape.Add(_outputNorm.Forward(tape, _output.Forward(tape, attended)), input);
}

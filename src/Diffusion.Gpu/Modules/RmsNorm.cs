using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Normalises every pixel's channel vector to length √C and scales each channel by a learned gain.</summary>
internal sealed class RmsNorm(WeightScope scope, int channels) : ILayer
{
    private readonly Parameter _gain = scope.Parameter("g", [channels], Initialise.Ones, FileOrder.ChannelGain);

    public Tensor Forward(Tape tape, Tensor x) => tape.RmsNorm(x, _gain);

    /// <summary>The norm, an optional scale-shift [N, 2C] and SiLU in one pass.</summary>
    public Tensor ForwardSilu(Tape tape, Tensor x, Tensor? scaleShift) => tape.RmsNormSilu(x, _gain, scaleShift);
}

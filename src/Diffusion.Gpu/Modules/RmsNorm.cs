using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Normalises every pixel's channel vector to length √C and scales each channel by a learned gain.</summary>
internal sealed class RmsNorm(WeightScope scope, int channels) : ILayer
{
    /// <summary>[C].</summary>
    public Parameter Gain { get; } = scope.Parameter("g", [channels], Initialise.Ones, FileOrder.ChannelGain);

    public Tensor Forward(Tape tape, Tensor x) => tape.RmsNorm(x, Gain);
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>A convolution that keeps the size: [N, H, W, C] to [N, H, W, K].</summary>
internal sealed class Conv2D : ILayer
{
    private readonly Parameter _filter;
    private readonly Parameter? _bias;

    /// <param name="scope">Registers weight and bias.</param>
    /// <param name="inputs">C.</param>
    /// <param name="outputs">K.</param>
    /// <param name="size">Height and width of the filter; odd.</param>
    /// <param name="bias">Whether a learned constant is added to each channel.</param>
    public Conv2D(WeightScope scope, int inputs, int outputs, int size, bool bias = true)
    {
        var initialiser = Initialise.Uniform(inputs * size * size);
        _filter = scope.Parameter("weight", [outputs, size, size, inputs], initialiser, FileOrder.Filter);
        _bias = bias ? scope.Parameter("bias", [outputs], initialiser) : null;
    }

    Tensor ILayer.Forward(Tape tape, Tensor x) => Forward(tape, x);

    /// <param name="residual">[N, H, W, K], added to the result, or null.</param>
    public Tensor Forward(Tape tape, Conv2DInput x, Tensor? residual = null)
        => tape.Conv2D(x, _filter, _bias is null ? null : _bias.Value, residual: residual);

    /// <summary>The convolution, a norm over its outputs, an optional scale-shift [N, 2K] and SiLU.</summary>
    public Tensor ForwardRmsNormSilu(Tape tape, Conv2DInput x, RmsNorm norm, Tensor? scaleShift)
        => tape.Conv2DRmsNormSilu(x, _filter, _bias is null ? null : _bias.Value, norm.Gain, scaleShift);
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>A 3×3 convolution, RMSNorm, an optional scale-shift and SiLU.</summary>
internal sealed class Block(WeightScope scope, int inputs, int outputs)
{
    private readonly Conv2D _projection = new(scope.Child("proj"), inputs, outputs, size: 3);
    private readonly RmsNorm _norm = new(scope.Child("norm"), outputs);

    /// <param name="scaleShift">[N, 2K], or null.</param>
    public Tensor Forward(Tape tape, Conv2DInput x, Tensor? scaleShift = null)
        => _projection.ForwardRmsNormSilu(tape, x, _norm, scaleShift);
}

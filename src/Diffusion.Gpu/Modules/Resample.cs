using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Halves the size: 2×2 pixels are folded into channels and mixed, [N, H, W, C] to [N, H/2, W/2, K].</summary>
/// <remarks>denoising-diffusion-pytorch, Downsample. Folding and the 1×1 convolution after it are one 2×2 convolution of stride 2:
/// the folded filter [K, 4C, 1, 1] of a file is that filter [K, C, 2, 2] under another shape.</remarks>
internal sealed class Downsample : ILayer
{
    private readonly Parameter _filter;
    private readonly Parameter _bias;

    public Downsample(WeightScope scope, int inputs, int outputs)
    {
        var initialiser = Initialise.Uniform(4 * inputs);
        _filter = scope.Parameter("1.weight", [outputs, 2, 2, inputs], initialiser, FileOrder.FoldedFilter);
        _bias = scope.Parameter("1.bias", [outputs], initialiser);
    }

    public Tensor Forward(Tape tape, Tensor x) => tape.Conv2D(x, _filter, _bias, stride: 2, padHeight: 0, padWidth: 0);
}

/// <summary>Doubles the size by repeating pixels, then convolves: [N, H, W, C] to [N, 2H, 2W, K].</summary>
/// <remarks>denoising-diffusion-pytorch, Upsample.</remarks>
internal sealed class Upsample(WeightScope scope, int inputs, int outputs) : ILayer
{
    private readonly Conv2D _convolution = new(scope.Child("1"), inputs, outputs, size: 3);

    public Tensor Forward(Tape tape, Tensor x) => _convolution.Forward(tape, Conv2DInput.NearestUpsample(x));
}

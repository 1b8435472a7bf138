using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>A linear layer with a bias: [N, C] to [N, K].</summary>
internal sealed class Linear : ILayer
{
    private readonly Parameter _weight;
    private readonly Parameter _bias;

    public Linear(WeightScope scope, int inputs, int outputs)
    {
        var initialiser = Initialise.Uniform(inputs);
        _weight = scope.Parameter("weight", [outputs, inputs], initialiser);
        _bias = scope.Parameter("bias", [outputs], initialiser);
    }

    public Tensor Forward(Tape tape, Tensor x) => tape.Linear(x, _weight, _bias);
}

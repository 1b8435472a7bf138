using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Zeroes a share of the values while training; each layer of a model has its own stream of random numbers.</summary>
internal sealed class Dropout(WeightScope scope, float rate)
{
    // The number of parameters registered before the layer names it: unique, and the same in every run.
    private readonly uint _layer = (uint)scope.Count;

    /// <param name="key">The step's random numbers, or null where nothing is to be dropped.</param>
    public Tensor Forward(Tape tape, Tensor x, RandomKey? key)
        => rate > 0 && key is { } numbers ? tape.Dropout(x, rate, numbers with { Stream = numbers.Stream + _layer }) : x;
}

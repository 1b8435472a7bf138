using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Samplers;

/// <summary>Where a sampler's random numbers come from.</summary>
internal interface INoiseSource
{
    /// <summary>Standard normal numbers.</summary>
    /// <param name="tape">Owns them.</param>
    /// <param name="shape">[N, H, W, C].</param>
    /// <param name="draw">0 for the initial image, k for what follows step k.</param>
    Tensor Draw(Tape tape, Shape shape, int draw);
}

/// <summary>Numbers that depend on the seed, the draw and the sample's index alone, not on the batch.</summary>
internal sealed class KeyedNoise(ulong seed, uint stream, uint firstSample) : INoiseSource
{
    public Tensor Draw(Tape tape, Shape shape, int draw) => tape.Normal(shape, new RandomKey(seed, stream, (uint)draw, firstSample));
}

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Names a block of random numbers: the same key gives the same numbers on every backend, for every batch size.
/// </summary>
/// <param name="Seed">The run's seed: Philox's key.</param>
/// <param name="Stream">What the numbers are for (noise, dropout, …), so that two uses never share them.</param>
/// <param name="Draw">The how-many-th draw of that stream: a training step or a sampler step.</param>
/// <param name="FirstSample">The index of the batch's first sample; row n of a tensor is sample FirstSample + n.</param>
public readonly record struct RandomKey(ulong Seed, uint Stream, uint Draw, uint FirstSample = 0);

namespace Diffusion.Gpu.Samplers;

/// <summary>How far a sampler is.</summary>
/// <param name="Step">Steps taken.</param>
/// <param name="Steps">Steps in all.</param>
public readonly record struct SamplingProgress(int Step, int Steps);

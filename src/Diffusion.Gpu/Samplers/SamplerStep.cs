namespace Diffusion.Gpu.Samplers;

/// <summary>One run of the network and what follows: state ← Image·x̂0 + State·state + Noise·z, or + Previous·(the last x̂0).</summary>
/// <param name="Time">The step of the process that the network is told.</param>
/// <param name="Image">Factor of the image that the network sees, clamped to [-1, 1].</param>
/// <param name="State">Factor of the noisy image.</param>
/// <param name="Noise">Standard deviation of fresh noise; 0 draws none.</param>
/// <param name="Previous">Factor of the image that the network saw one step before; never beside noise.</param>
internal readonly record struct SamplerStep(int Time, double Image, double State, double Noise = 0, double Previous = 0);

namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Each time followed by sines and cosines of 2π·time·weight.</summary>
    /// <param name="times">[N].</param>
    /// <param name="weights">[half], learned or random frequencies.</param>
    /// <returns>[N, 1 + 2·half]: time, sines, cosines.</returns>
    /// <remarks>denoising-diffusion-pytorch, RandomOrLearnedSinusoidalPosEmb. Gradient: weights.</remarks>
    public Tensor FourierEmbedding(Tensor times, Tensor weights)
    {
        ArgumentNullException.ThrowIfNull(times);
        ArgumentNullException.ThrowIfNull(weights);
        Check.Rank(times, 1, "[N]");
        Check.Rank(weights, 1, "[half]");
        int n = times.Shape[0], half = weights.Shape[0];
        var y = New([n, 1 + (2 * half)]);
        Backend.FourierEmbeddingForward(n, half, times, weights, y);
        return Record(y, [weights], [times, weights], (gradients, dy)
            => Backend.FourierEmbeddingBackward(n, half, times, weights, dy, gradients.To(weights)));
    }
}

namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Sines and cosines of each time at geometrically spaced frequencies.</summary>
    /// <param name="times">[N], in steps (the integer t as is).</param>
    /// <param name="dim">Width of the embedding; even, at least 4.</param>
    /// <param name="theta">Ratio of the largest to the smallest period.</param>
    /// <returns>[N, dim]: sines, then cosines.</returns>
    /// <exception cref="ShapeException">dim is odd or below 4.</exception>
    /// <remarks>Vaswani et al., 2017; denoising-diffusion-pytorch, SinusoidalPosEmb. No gradient.</remarks>
    public Tensor SinusoidalEmbedding(Tensor times, int dim, float theta = 10000)
    {
        ArgumentNullException.ThrowIfNull(times);
        Check.Rank(times, 1, "[N]");
        Check.That(dim >= 4 && dim % 2 == 0, nameof(dim), dim, "an even width of at least 4");
        var y = New([times.Shape[0], dim]);
        Backend.SinusoidalEmbedding(times.Shape[0], dim, theta, times, y);
        return y;
    }
}

namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Zeroes each value with probability <paramref name="rate"/> and divides the others by 1 − rate.</summary>
    /// <param name="x">[N, ..].</param>
    /// <param name="rate">In [0, 1).</param>
    /// <param name="key">Names the random numbers; the same key drops the same values on every backend.</param>
    /// <exception cref="ShapeException">The rate is outside [0, 1).</exception>
    /// <remarks>Srivastava et al., 2014. Nothing is kept for the gradient: the mask is drawn again. Gradient: x.</remarks>
    public Tensor Dropout(Tensor x, float rate, RandomKey key)
    {
        ArgumentNullException.ThrowIfNull(x);
        Check.That(rate is >= 0 and < 1, nameof(rate), rate, "a probability in [0, 1)");
        var y = New(x.Shape);
        Backend.Dropout(rate, key, x, new GradientTarget(y, false));
        return Record(y, [x], [], (gradients, dy) => Backend.Dropout(rate, key, dy, gradients.To(x)));
    }
}

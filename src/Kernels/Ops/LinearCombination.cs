namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>
    /// c0·x + c1·z + c2·w with coefficients per sample, optionally clamped: q-sample, training targets, the inverse maps between
    /// noise, image and velocity, and every sampler's update.
    /// </summary>
    /// <param name="coefficients">[N, 3].</param>
    /// <param name="x">[N, ..].</param>
    /// <param name="z">The shape of x, or null for 0.</param>
    /// <param name="w">The shape of x, or null for 0.</param>
    /// <param name="clamp">Limits the result to [−clamp, clamp].</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes disagree.</exception>
    /// <remarks>No gradient.</remarks>
    public Tensor LinearCombination(Tensor coefficients, Tensor x, Tensor? z = null, Tensor? w = null,
        float clamp = float.PositiveInfinity)
    {
        ArgumentNullException.ThrowIfNull(coefficients);
        ArgumentNullException.ThrowIfNull(x);
        int n = x.Shape[0];
        Check.Shape(coefficients, [n, 3], "[N, 3]");
        if (z is not null)
            Check.Shape(z, x.Shape, "the shape of x");
        if (w is not null)
            Check.Shape(w, x.Shape, "the shape of x");
        var y = New(x.Shape);
        Backend.LinearCombination(n, (int)(x.Count / n), coefficients, x, z, w, clamp, y);
        return y;
    }
}

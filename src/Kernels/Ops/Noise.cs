namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Draws standard normal numbers.</summary>
    /// <param name="shape">[N, ..]; row n holds the numbers of sample key.FirstSample + n, whatever the batch.</param>
    /// <param name="key">Names the numbers.</param>
    public Tensor Normal(Shape shape, RandomKey key)
    {
        var y = New(shape);
        Backend.FillNormal(key, y);
        return y;
    }

    /// <summary>Draws uniform numbers in [0, 1).</summary>
    /// <param name="shape">[N, ..]; row n holds the numbers of sample key.FirstSample + n, whatever the batch.</param>
    /// <param name="key">Names the numbers.</param>
    public Tensor Uniform(Shape shape, RandomKey key)
    {
        var y = New(shape);
        Backend.FillUniform(key, y);
        return y;
    }

    /// <summary>Adds strength · offset to every pixel, one offset per sample and channel.</summary>
    /// <param name="noise">[N, .., C].</param>
    /// <param name="offset">[N, C].</param>
    /// <param name="strength">Standard deviation of the offset, in units of the noise.</param>
    /// <returns>[N, .., C].</returns>
    /// <exception cref="ShapeException">offset is not [N, C].</exception>
    /// <remarks>Guttenberg, 2023 (offset noise). No gradient.</remarks>
    public Tensor AddOffsetNoise(Tensor noise, Tensor offset, float strength)
    {
        ArgumentNullException.ThrowIfNull(noise);
        ArgumentNullException.ThrowIfNull(offset);
        var shape = RowShape.Of(noise);
        Check.Shape(offset, [shape.N, shape.C], "[N, C]");
        var y = New(noise.Shape);
        Backend.AddPerChannel(shape, noise, offset, strength, y);
        return y;
    }
}

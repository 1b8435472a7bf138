namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>a + b, value by value.</summary>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <remarks>Gradients: a, b.</remarks>
    public Tensor Add(Tensor a, Tensor b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Check.Shape(b, a.Shape, "the shape of a");
        var y = New(a.Shape);
        Backend.AddForward(a, b, y);
        return Record(y, [a, b], [], (gradients, dy) =>
        {
            if (gradients.Wants(b))
                Backend.Accumulate(dy, gradients.To(b));
            gradients.Donate(dy, a);
        });
    }
}

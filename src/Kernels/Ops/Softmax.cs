namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Exponentials along one axis, divided by their sum.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The axis that sums to 1; negative counts from the end.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">There is no such axis.</exception>
    /// <remarks>The maximum is subtracted first. Gradient: x.</remarks>
    public Tensor Softmax(Tensor x, int axis = -1)
    {
        ArgumentNullException.ThrowIfNull(x);
        int rank = x.Shape.Rank;
        int at = axis < 0 ? axis + rank : axis;
        Check.That(at >= 0 && at < rank, nameof(axis), axis, $"an axis of {x.Shape}");
        int outer = 1, inner = 1;
        for (int i = 0; i < rank; i++)
        {
            outer *= i < at ? x.Shape[i] : 1;
            inner *= i > at ? x.Shape[i] : 1;
        }
        var shape = new AxisShape(outer, x.Shape[at], inner);
        var y = New(x.Shape);
        Backend.SoftmaxForward(shape, x, y);
        return Record(y, [x], [y], (gradients, dy) => Backend.SoftmaxBackward(shape, y, dy, gradients.To(x)));
    }
}

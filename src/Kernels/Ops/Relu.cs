namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>max(x, 0), value by value; NaN stays NaN.</summary>
    /// <remarks>The gradient at 0 is 0, as PyTorch's. Gradient: x.</remarks>
    public Tensor Relu(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        var y = New(x.Shape);
        Backend.ReluForward(x, y);
        return Record(y, [x], [y], (gradients, dy) => Backend.ReluBackward(y, dy, gradients.To(x)));
    }
}

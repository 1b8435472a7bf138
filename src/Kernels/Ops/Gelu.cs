namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>x · Φ(x) with the exact normal distribution function, value by value.</summary>
    /// <remarks>Hendrycks and Gimpel, 2016; PyTorch's GELU without the tanh approximation. Gradient: x.</remarks>
    public Tensor Gelu(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        var y = New(x.Shape);
        Backend.GeluForward(x, y);
        return Record(y, [x], [x], (gradients, dy) => Backend.GeluBackward(x, dy, gradients.To(x)));
    }
}

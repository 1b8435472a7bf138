namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>x · sigmoid(x), value by value.</summary>
    /// <remarks>Elfwing et al., 2017; PyTorch's SiLU. Gradient: x.</remarks>
    public Tensor Silu(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        var y = New(x.Shape);
        Backend.SiluForward(x, y);
        return Record(y, [x], [x], (gradients, dy) => Backend.SiluBackward(x, dy, gradients.To(x)));
    }
}

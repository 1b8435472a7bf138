namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>The mean of each channel over all positions.</summary>
    /// <param name="x">[N, .., C].</param>
    /// <returns>[N, C].</returns>
    /// <remarks>PyTorch's AdaptiveAvgPool2d(1). Gradient: x.</remarks>
    public Tensor GlobalAveragePool(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        var shape = RowShape.Of(x);
        var y = New([shape.N, shape.C]);
        Backend.GlobalAveragePoolForward(shape, x, y);
        return Record(y, [x], [], (gradients, dy) => Backend.GlobalAveragePoolBackward(shape, dy, gradients.To(x)));
    }
}

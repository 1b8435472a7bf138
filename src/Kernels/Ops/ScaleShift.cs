namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>x · (scale + 1) + shift, one scale and shift per sample and channel.</summary>
    /// <param name="x">[N, .., C].</param>
    /// <param name="scaleShift">[N, 2C]: scales, then shifts.</param>
    /// <returns>[N, .., C].</returns>
    /// <exception cref="ShapeException">scaleShift is not [N, 2C].</exception>
    /// <remarks>Perez et al., 2018 (FiLM), as denoising-diffusion-pytorch applies it. Gradients: x, scaleShift.</remarks>
    public Tensor ScaleShift(Tensor x, Tensor scaleShift)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(scaleShift);
        var shape = RowShape.Of(x);
        Check.Shape(scaleShift, [shape.N, 2 * shape.C], "[N, 2C]");
        var y = New(x.Shape);
        Backend.ScaleShiftForward(shape, x, scaleShift, y);
        return Record(y, [x, scaleShift], [x, scaleShift], (gradients, dy)
            => Backend.ScaleShiftBackward(shape, x, scaleShift, dy, gradients.To(x), gradients.To(scaleShift)));
    }
}

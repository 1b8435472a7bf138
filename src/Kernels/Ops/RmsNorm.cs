namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Normalises every pixel's channel vector to length √C and scales each channel.</summary>
    /// <param name="x">[N, .., C].</param>
    /// <param name="gain">[C], the learned scale.</param>
    /// <returns>[N, .., C].</returns>
    /// <exception cref="ShapeException">gain does not have C entries.</exception>
    /// <remarks>denoising-diffusion-pytorch, RMSNorm: the norm is clamped at 1e-12, not offset. Gradients: x, gain.</remarks>
    public Tensor RmsNorm(Tensor x, Tensor gain) => RmsNorm(x, gain, null, silu: false);

    /// <summary>RMSNorm, an optional scale-shift and SiLU in one pass: all of a U-Net block but its convolution.</summary>
    /// <param name="x">[N, .., C].</param>
    /// <param name="gain">[C], the learned scale of the norm.</param>
    /// <param name="scaleShift">[N, 2C]: multiplies by (scale + 1) and adds shift per sample; or null.</param>
    /// <returns>[N, .., C].</returns>
    /// <exception cref="ShapeException">gain or scaleShift do not fit the channels.</exception>
    /// <remarks>denoising-diffusion-pytorch, Block. Gradients: x, gain, scaleShift; only x is kept for them.</remarks>
    public Tensor RmsNormSilu(Tensor x, Tensor gain, Tensor? scaleShift = null) => RmsNorm(x, gain, scaleShift, silu: true);

    private Tensor RmsNorm(Tensor x, Tensor gain, Tensor? scaleShift, bool silu)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(gain);
        var shape = RowShape.Of(x);
        Check.Shape(gain, [shape.C], "[C]");
        if (scaleShift is not null)
            Check.Shape(scaleShift, [shape.N, 2 * shape.C], "[N, 2C]");
        var y = New(x.Shape);
        Backend.RmsNormForward(shape, x, gain, scaleShift, silu, y);
        return RecordRmsNorm(shape, x, gain, scaleShift, silu, y);
    }

    private Tensor RecordRmsNorm(RowShape shape, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor y)
        => Record(y, [x, gain, scaleShift], [x, gain, scaleShift], (gradients, dy) => Backend.RmsNormBackward(shape, x, gain,
            scaleShift, silu, dy, gradients.To(x), gradients.To(gain), gradients.To(scaleShift)));
}

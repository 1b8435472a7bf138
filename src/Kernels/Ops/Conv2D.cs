namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Convolves images with a filter, adds a bias and a residual, and applies an activation.</summary>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="filter">[K, R, S, C].</param>
    /// <param name="bias">[K], or null.</param>
    /// <param name="stride">Step of the window in pixels, both directions.</param>
    /// <param name="padHeight">Zero rows above and below; by default what keeps the size at stride 1 and an odd filter.</param>
    /// <param name="padWidth">Zero columns left and right; by default as <paramref name="padHeight"/>.</param>
    /// <param name="residual">[N, OutH, OutW, K], added before the activation, or null.</param>
    /// <param name="activation">Applied last; fused into the convolution where nothing is recorded.</param>
    /// <returns>[N, OutH, OutW, K] with OutH = (H + 2·padHeight − R) / stride + 1.</returns>
    /// <exception cref="ShapeException">Channels disagree, or the filter is larger than the padded image.</exception>
    /// <remarks>PyTorch's Conv2d without dilation and groups. Gradients: x, filter, bias, residual.</remarks>
    public Tensor Conv2D(Tensor x, Tensor filter, Tensor? bias = null, int stride = 1, int? padHeight = null, int? padWidth = null,
        Tensor? residual = null, Activation activation = Activation.None)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(filter);
        Check.Rank(x, 4, "[N, H, W, C]");
        Check.Rank(filter, 4, "[K, R, S, C]");
        Check.That(filter.Shape[3] == x.Shape[3], nameof(filter), filter.Shape, $"[K, R, S, {x.Shape[3]}] for an input {x.Shape}");
        Check.That(stride >= 1, nameof(stride), stride, "at least 1");
        int k = filter.Shape[0], r = filter.Shape[1], s = filter.Shape[2];
        var shape = new Conv2DShape(x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3], k, r, s, stride, padHeight ?? r / 2, padWidth ?? s / 2);
        Check.That(shape.H + (2 * shape.PadH) >= r && shape.W + (2 * shape.PadW) >= s, nameof(filter), filter.Shape,
            $"no larger than the padded image {shape.H + (2 * shape.PadH)}x{shape.W + (2 * shape.PadW)}");
        if (bias is not null)
            Check.Shape(bias, [k], "[K]");
        Shape outputShape = [shape.N, shape.OutH, shape.OutW, k];
        if (residual is not null)
            Check.Shape(residual, outputShape, "[N, OutH, OutW, K]");
        return Conv2D(shape, outputShape, x, filter, bias, residual, activation);
    }

    private Tensor Conv2D(Conv2DShape shape, Shape outputShape, Tensor x, Tensor filter, Tensor? bias, Tensor? residual,
        Activation activation)
    {
        var y = New(outputShape);
        Backend.Conv2DForward(shape, x, filter, new Epilogue(bias, residual, Recording ? Activation.None : activation), y);
        Record(y, [x, filter, bias, residual], [x, filter], (gradients, dy) =>
        {
            if (gradients.Wants(filter))
                Backend.Conv2DBackwardFilter(shape, x, dy, gradients.To(filter));
            if (gradients.Wants(bias))
                Backend.ColumnSum(shape.Pixels, shape.K, dy, gradients.To(bias));
            if (gradients.Wants(x))
                Backend.Conv2DBackwardInput(shape, dy, filter, gradients.To(x));
            gradients.Donate(dy, residual);
        });
        return !Recording ? y : activation switch
        {
            Activation.Relu => Relu(y),
            Activation.Silu => Silu(y),
            _ => y,
        };
    }
}

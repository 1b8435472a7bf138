namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Convolves images with a filter, adds a bias and a residual, and applies an activation.</summary>
    /// <param name="x">[N, H, W, C]: a tensor, or others that are read as one, see <see cref="Conv2DInput"/>.</param>
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
    public Tensor Conv2D(Conv2DInput x, Tensor filter, Tensor? bias = null, int stride = 1, int? padHeight = null, int? padWidth = null,
        Tensor? residual = null, Activation activation = Activation.None)
    {
        var shape = CheckConv2D(nameof(Conv2D), x, filter, bias, stride, padHeight, padWidth);
        Shape outputShape = [shape.N, shape.OutH, shape.OutW, shape.K];
        if (residual is not null)
            Check.Shape(residual, outputShape, "[N, OutH, OutW, K]");
        return Conv2D(shape, outputShape, x, filter, bias, residual, activation);
    }

    /// <summary>Convolves images at their size and applies RMSNorm, an optional scale-shift and SiLU: a U-Net block.</summary>
    /// <param name="x">[N, H, W, C]: a tensor, or others that are read as one, see <see cref="Conv2DInput"/>.</param>
    /// <param name="filter">[K, R, S, C], R and S odd.</param>
    /// <param name="bias">[K], or null.</param>
    /// <param name="gain">[K], the learned scale of the norm.</param>
    /// <param name="scaleShift">[N, 2K]: multiplies by (scale + 1) and adds shift per sample; or null.</param>
    /// <returns>[N, H, W, K].</returns>
    /// <exception cref="ShapeException">As of <see cref="Conv2D(Conv2DInput, Tensor, Tensor, int, int?, int?, Tensor, Activation)"/> and
    /// <see cref="RmsNormSilu"/>, or the filter's size is even.</exception>
    /// <remarks>denoising-diffusion-pytorch, Block: <see cref="RmsNormSilu"/> of a convolution, bit for bit. What the convolution alone
    /// gives is written only where the tape records. Gradients: x, filter, bias, gain, scaleShift.</remarks>
    public Tensor Conv2DRmsNormSilu(Conv2DInput x, Tensor filter, Tensor? bias, Tensor gain, Tensor? scaleShift = null)
    {
        const string Op = nameof(Conv2DRmsNormSilu);
        ArgumentNullException.ThrowIfNull(gain);
        var shape = CheckConv2D(Op, x, filter, bias, stride: 1, padHeight: null, padWidth: null);
        Check.That((shape.R & shape.S & 1) == 1, nameof(filter), filter.Shape, "odd in height and width", Op);
        Check.Shape(gain, [shape.K], "[K]");
        if (scaleShift is not null)
            Check.Shape(scaleShift, [shape.N, 2 * shape.K], "[N, 2K]");
        Shape outputShape = [shape.N, shape.OutH, shape.OutW, shape.K];
        var y = New(outputShape);
        var convolved = Recording ? New(outputShape) : null;
        Backend.Conv2DRmsNormSilu(shape, x, filter, bias, gain, scaleShift, convolved, y);
        if (convolved is null)
            return y;
        RecordConv2D(shape, x, filter, bias, null, convolved);
        return RecordRmsNorm(RowShape.Of(convolved), convolved, gain, scaleShift, silu: true, y);
    }

    /// <summary>Convolves images into some channels of a given tensor: a branch of a network without a concatenation after it.</summary>
    /// <param name="y">K channels of a tensor [N, OutH, OutW, ..]; the others are left alone.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="filter">[K, R, S, C].</param>
    /// <param name="bias">[K], or null.</param>
    /// <param name="stride">Step of the window in pixels, both directions.</param>
    /// <param name="padHeight">Zero rows above and below; by default what keeps the size at stride 1 and an odd filter.</param>
    /// <param name="padWidth">Zero columns left and right; by default as <paramref name="padHeight"/>.</param>
    /// <param name="activation">Applied last, within the convolution.</param>
    /// <exception cref="ShapeException">As of <see cref="Conv2D(Conv2DInput, Tensor, Tensor, int, int?, int?, Tensor, Activation)"/>, or y
    /// does not fit.</exception>
    /// <exception cref="InvalidOperationException">The tape records.</exception>
    /// <remarks>No gradient: for inference.</remarks>
    public void Conv2DInto(ChannelSlice y, Tensor x, Tensor filter, Tensor? bias = null, int stride = 1, int? padHeight = null,
        int? padWidth = null, Activation activation = Activation.None)
    {
        var shape = CheckConv2D(nameof(Conv2DInto), x, filter, bias, stride, padHeight, padWidth);
        CheckSlice(nameof(Conv2DInto), y, [shape.N, shape.OutH, shape.OutW, shape.K], x);
        Backend.Conv2DForward(shape, x, filter, new Epilogue(bias, null, activation), y);
    }

    private static Conv2DShape CheckConv2D(string op, in Conv2DInput x, Tensor filter, Tensor? bias, int stride, int? padHeight,
        int? padWidth)
    {
        ArgumentNullException.ThrowIfNull(filter);
        x.Check(op);
        Check.Rank(filter, 4, "[K, R, S, C]", op);
        var input = x.Shape;
        Check.That(filter.Shape[3] == input[3], nameof(filter), filter.Shape, $"[K, R, S, {input[3]}] for an input {input}", op);
        Check.That(stride >= 1, nameof(stride), stride, "at least 1", op);
        Check.That(stride == 1 || !x.IsUpsampled, nameof(stride), stride, "1 for an upsampled input", op);
        int k = filter.Shape[0], r = filter.Shape[1], s = filter.Shape[2];
        var shape = new Conv2DShape(input[0], input[1], input[2], input[3], k, r, s, stride, padHeight ?? r / 2, padWidth ?? s / 2);
        Check.That(shape.H + (2 * shape.PadH) >= r && shape.W + (2 * shape.PadW) >= s, nameof(filter), filter.Shape,
            $"no larger than the padded image {shape.H + (2 * shape.PadH)}x{shape.W + (2 * shape.PadW)}", op);
        if (bias is not null)
            Check.Shape(bias, [k], "[K]", op);
        return shape;
    }

    /// <summary>Refuses a slice that an op without gradient cannot write to.</summary>
    /// <param name="op">For messages.</param>
    /// <param name="y">The slice.</param>
    /// <param name="wanted">The op's result.</param>
    /// <param name="x">The op's input, which the slice must not share memory with.</param>
    private void CheckSlice(string op, in ChannelSlice y, Shape wanted, Tensor x)
    {
        if (Recording)
            throw new InvalidOperationException($"{op}: has no gradient; use a tape that does not record, NewTape(recording: false).");
        ArgumentNullException.ThrowIfNull(y.Tensor, nameof(y));
        var shape = y.Tensor.Shape;
        Check.That(shape.Rank == wanted.Rank && shape.Extents[..^1].SequenceEqual(wanted.Extents[..^1]), nameof(y), shape,
            $"{wanted} but for the channels", op);
        Check.That(y.First >= 0 && y.Count == wanted[^1] && y.First <= shape[^1] - y.Count, nameof(y),
            $"channels {y.First} to {y.First + (long)y.Count - 1} of {shape}", $"{wanted[^1]} of its channels", op);
        Check.That(y.Tensor.Identity != x.Identity, nameof(y), shape, "another tensor than x", op);
    }

    private Tensor Conv2D(Conv2DShape shape, Shape outputShape, Conv2DInput x, Tensor filter, Tensor? bias, Tensor? residual,
        Activation activation)
    {
        var y = New(outputShape);
        Backend.Conv2DForward(shape, x, filter, new Epilogue(bias, residual, Recording ? Activation.None : activation), y);
        RecordConv2D(shape, x, filter, bias, residual, y);
        return !Recording ? y : activation switch
        {
            Activation.Relu => Relu(y),
            Activation.Silu => Silu(y),
            _ => y,
        };
    }

    private void RecordConv2D(Conv2DShape shape, Conv2DInput x, Tensor filter, Tensor? bias, Tensor? residual, Tensor y)
        => Record(y, [x.First, x.Second, filter, bias, residual], [x.First, x.Second, filter], (gradients, dy) =>
        {
            if (gradients.Wants(bias))
                Backend.ColumnSum(shape.Pixels, shape.K, dy, gradients.To(bias));
            Conv2DBackward(shape, x, filter, gradients, dy);
            gradients.Donate(dy, residual);
        });

    private void Conv2DBackward(Conv2DShape shape, in Conv2DInput x, Tensor filter, Gradients gradients, Tensor dy)
    {
        var dFilter = gradients.To(filter);
        if (x.Second is not null && x.Second.Identity == x.First.Identity && gradients.Wants(x.First))
        {
            // Both parts are added to one tensor: one after the other.
            Backend.Conv2DBackward(shape, dy, filter, new Conv2DInputTarget(x, gradients.To(x.First)), dFilter);
            Backend.Conv2DBackwardInput(shape, dy, filter, new Conv2DInputTarget(x, default, gradients.To(x.Second)));
        }
        else if (gradients.Wants(x.First) || gradients.Wants(x.Second))
        {
            var dx = new Conv2DInputTarget(x, gradients.To(x.First), gradients.To(x.Second));
            Backend.Conv2DBackward(shape, dy, filter, dx, dFilter);
        }
        else if (dFilter.Tensor is not null)
            Backend.Conv2DBackwardFilter(shape, x, dy, dFilter);
    }
}

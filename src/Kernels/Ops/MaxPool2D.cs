namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>The largest value of each window.</summary>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="window">Height and width of the window in pixels.</param>
    /// <param name="stride">Step of the window in pixels.</param>
    /// <param name="pad">Rows and columns added on each side; they never win.</param>
    /// <returns>[N, OutH, OutW, C] with OutH = (H + 2·pad − window) / stride + 1.</returns>
    /// <exception cref="ShapeException">The window is larger than the padded image, or the padding than half the window.</exception>
    /// <remarks>PyTorch's MaxPool2d; of equal values the first in reading order receives the gradient. Gradient: x.</remarks>
    public Tensor MaxPool2D(Tensor x, int window, int stride, int pad = 0)
    {
        var shape = CheckPool(nameof(MaxPool2D), x, window, stride, pad, countPadding: false);
        var y = New([shape.N, shape.OutH, shape.OutW, shape.C]);
        Backend.MaxPool2DForward(shape, x, y);
        return Record(y, [x], [x], (gradients, dy) => Backend.MaxPool2DBackward(shape, x, dy, gradients.To(x)));
    }

    /// <summary>The largest value of each window, written into some channels of a given tensor.</summary>
    /// <param name="y">C channels of a tensor [N, OutH, OutW, ..]; the others are left alone.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="window">Height and width of the window in pixels.</param>
    /// <param name="stride">Step of the window in pixels.</param>
    /// <param name="pad">Rows and columns added on each side; they never win.</param>
    /// <exception cref="ShapeException">As of <see cref="MaxPool2D"/>, or y does not fit.</exception>
    /// <exception cref="InvalidOperationException">The tape records.</exception>
    /// <remarks>No gradient: for inference.</remarks>
    public void MaxPool2DInto(ChannelSlice y, Tensor x, int window, int stride, int pad = 0)
    {
        var shape = CheckPool(nameof(MaxPool2DInto), x, window, stride, pad, countPadding: false);
        CheckSlice(nameof(MaxPool2DInto), y, [shape.N, shape.OutH, shape.OutW, shape.C], x);
        Backend.MaxPool2DForward(shape, x, y);
    }

    private static PoolShape CheckPool(string op, Tensor x, int window, int stride, int pad, bool countPadding)
    {
        ArgumentNullException.ThrowIfNull(x);
        Check.Rank(x, 4, "[N, H, W, C]", op);
        Check.That(stride >= 1, nameof(stride), stride, "at least 1", op);
        Check.That(window >= 1 && window <= Math.Min(x.Shape[1], x.Shape[2]) + (2 * pad), nameof(window), window,
            $"1 to the padded size of {x.Shape}", op);
        Check.That(pad >= 0 && pad <= window / 2, nameof(pad), pad, $"0 to {window / 2}, half the window", op);
        return new PoolShape(x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3], window, stride, pad, countPadding);
    }
}

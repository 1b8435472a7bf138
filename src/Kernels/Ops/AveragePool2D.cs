namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>The mean of each window.</summary>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="window">Height and width of the window in pixels.</param>
    /// <param name="stride">Step of the window in pixels.</param>
    /// <param name="pad">Zero rows and columns on each side.</param>
    /// <param name="countPadding">True divides by the whole window; false by the part of it inside the image.</param>
    /// <returns>[N, OutH, OutW, C] with OutH = (H + 2·pad − window) / stride + 1.</returns>
    /// <exception cref="ShapeException">The window is larger than the padded image, or the padding than half the window.</exception>
    /// <remarks>PyTorch's AvgPool2d with count_include_pad. Gradient: x.</remarks>
    public Tensor AveragePool2D(Tensor x, int window, int stride, int pad = 0, bool countPadding = true)
    {
        var shape = CheckPool(nameof(AveragePool2D), x, window, stride, pad, countPadding);
        var y = New([shape.N, shape.OutH, shape.OutW, shape.C]);
        Backend.AveragePool2DForward(shape, x, y);
        return Record(y, [x], [], (gradients, dy) => Backend.AveragePool2DBackward(shape, dy, gradients.To(x)));
    }

    /// <summary>The mean of each window, written into some channels of a given tensor.</summary>
    /// <param name="y">C channels of a tensor [N, OutH, OutW, ..]; the others are left alone.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="window">Height and width of the window in pixels.</param>
    /// <param name="stride">Step of the window in pixels.</param>
    /// <param name="pad">Zero rows and columns on each side.</param>
    /// <param name="countPadding">True divides by the whole window; false by the part of it inside the image.</param>
    /// <exception cref="ShapeException">As of <see cref="AveragePool2D"/>, or y does not fit.</exception>
    /// <exception cref="InvalidOperationException">The tape records.</exception>
    /// <remarks>No gradient: for inference.</remarks>
    public void AveragePool2DInto(ChannelSlice y, Tensor x, int window, int stride, int pad = 0, bool countPadding = true)
    {
        var shape = CheckPool(nameof(AveragePool2DInto), x, window, stride, pad, countPadding);
        CheckSlice(nameof(AveragePool2DInto), y, [shape.N, shape.OutH, shape.OutW, shape.C], x);
        Backend.AveragePool2DForward(shape, x, y);
    }
}

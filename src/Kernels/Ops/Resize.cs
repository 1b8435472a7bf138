namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Brings images to another size by a separable linear filter.</summary>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="height">New height in pixels.</param>
    /// <param name="width">New width in pixels.</param>
    /// <param name="mode">The filter.</param>
    /// <returns>[N, height, width, C].</returns>
    /// <exception cref="ShapeException">A new extent is below 1.</exception>
    /// <remarks>PyTorch's interpolate and TensorFlow 1's resize_bilinear, see <see cref="ResizeMode"/>. Gradient: x.</remarks>
    public Tensor Resize(Tensor x, int height, int width, ResizeMode mode = ResizeMode.Bilinear)
    {
        ArgumentNullException.ThrowIfNull(x);
        Check.Rank(x, 4, "[N, H, W, C]");
        Check.That(height >= 1, nameof(height), height, "at least 1");
        Check.That(width >= 1, nameof(width), width, "at least 1");
        int n = x.Shape[0], c = x.Shape[3];
        var vertical = ResizeTaps.Create(x.Shape[1], height, mode);
        var horizontal = ResizeTaps.Create(x.Shape[2], width, mode);
        var y = New([n, height, width, c]);
        Backend.Resize(n, c, vertical, horizontal, x, new GradientTarget(y, false));
        return Record(y, [x], [], (gradients, dy)
            => Backend.Resize(n, c, vertical.Transpose(), horizontal.Transpose(), dy, gradients.To(x)));
    }
}

namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Folds each 2×2 block of pixels into the channels: output channel 4c + 2·row + column.</summary>
    /// <param name="x">[N, H, W, C] with even H and W.</param>
    /// <returns>[N, H/2, W/2, 4C].</returns>
    /// <exception cref="ShapeException">H or W is odd.</exception>
    /// <remarks>PyTorch's pixel_unshuffle(2). Gradient: x.</remarks>
    public Tensor SpaceToDepth(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        Check.Rank(x, 4, "[N, H, W, C]");
        int n = x.Shape[0], h = x.Shape[1], w = x.Shape[2], c = x.Shape[3];
        Check.That(h % 2 == 0 && w % 2 == 0, nameof(x), x.Shape, "an even height and width");
        var y = New([n, h / 2, w / 2, 4 * c]);
        Backend.SpaceToDepthForward(n, h, w, c, x, y);
        return Record(y, [x], [], (gradients, dy) => Backend.SpaceToDepthBackward(n, h, w, c, dy, gradients.To(x)));
    }
}

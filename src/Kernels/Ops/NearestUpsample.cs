namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Repeats every pixel in a 2×2 block.</summary>
    /// <param name="x">[N, H, W, C].</param>
    /// <returns>[N, 2H, 2W, C].</returns>
    /// <remarks>PyTorch's Upsample(scale_factor=2, mode="nearest"). Gradient: x.</remarks>
    public Tensor NearestUpsample(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        Check.Rank(x, 4, "[N, H, W, C]");
        int n = x.Shape[0], h = x.Shape[1], w = x.Shape[2], c = x.Shape[3];
        var y = New([n, 2 * h, 2 * w, c]);
        Backend.NearestUpsampleForward(n, h, w, c, x, y);
        return Record(y, [x], [], (gradients, dy) => Backend.NearestUpsampleBackward(n, h, w, c, dy, gradients.To(x)));
    }
}

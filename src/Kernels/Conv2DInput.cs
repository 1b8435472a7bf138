namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The images that a convolution reads: a tensor, or what <see cref="Tape.Concat"/> or <see cref="Tape.NearestUpsample"/> would make.
/// </summary>
/// <remarks>The joined or larger tensor takes no memory and is neither written nor read; results are the bits that they are with
/// it.</remarks>
public readonly record struct Conv2DInput
{
    private Conv2DInput(Tensor first, Tensor? second, bool isUpsampled)
    {
        First = first;
        Second = second;
        IsUpsampled = isUpsampled;
    }

    /// <summary>The tensor, or the one with the first channels.</summary>
    internal Tensor First { get; }

    /// <summary>The one with the channels after them, or null.</summary>
    internal Tensor? Second { get; }

    /// <summary>Whether every pixel of <see cref="First"/> stands for 2×2.</summary>
    internal bool IsUpsampled { get; }

    /// <summary>Channels of <see cref="First"/>.</summary>
    internal int FirstChannels => First.Shape[^1];

    /// <summary>[N, H, W, C] as the convolution sees it.</summary>
    internal Shape Shape
    {
        get
        {
            int scale = IsUpsampled ? 2 : 1;
            return [First.Shape[0], scale * First.Shape[1], scale * First.Shape[2], First.Shape[3] + (Second?.Shape[3] ?? 0)];
        }
    }

    /// <summary>A tensor as it is.</summary>
    public static implicit operator Conv2DInput(Tensor x) => Of(x);

    /// <summary>A tensor as it is.</summary>
    /// <param name="x">[N, H, W, C].</param>
    public static Conv2DInput Of(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        return new Conv2DInput(x, null, false);
    }

    /// <summary>Two tensors joined along the channels, a first.</summary>
    /// <param name="a">[N, H, W, A].</param>
    /// <param name="b">[N, H, W, B].</param>
    /// <returns>[N, H, W, A + B] to the convolution, which checks the shapes.</returns>
    public static Conv2DInput Concat(Tensor a, Tensor b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        return new Conv2DInput(a, b, false);
    }

    /// <summary>A tensor whose every pixel is repeated in a 2×2 block; for a convolution at stride 1.</summary>
    /// <param name="x">[N, H, W, C].</param>
    /// <returns>[N, 2H, 2W, C] to the convolution.</returns>
    /// <remarks>The four gradients of a pixel are one sum over a filter that is larger by one, at 4/9 of the products for 3×3: other bits
    /// than the two ops give.</remarks>
    public static Conv2DInput NearestUpsample(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        return new Conv2DInput(x, null, true);
    }

    /// <summary>Refuses images that are none, or that do not fit each other.</summary>
    internal void Check(string op)
    {
        ArgumentNullException.ThrowIfNull(First, "x");
        Kernels.Check.Rank(First, 4, "[N, H, W, C]", op, "x");
        Kernels.Check.That(Second is null || (Second.Shape.Rank == 4 && Second.Shape.Extents[..3].SequenceEqual(First.Shape.Extents[..3])),
            "x", Second?.Shape ?? First.Shape, $"{First.Shape} but for the channels", op);
    }
}

/// <summary>Where the gradient of a convolution's input goes.</summary>
/// <param name="Input">The images.</param>
/// <param name="First">The gradient of its first tensor.</param>
/// <param name="Second">The gradient of its second tensor.</param>
internal readonly record struct Conv2DInputTarget(Conv2DInput Input, GradientTarget First, GradientTarget Second = default)
{
    /// <summary>The whole gradient of one tensor.</summary>
    public static implicit operator Conv2DInputTarget(GradientTarget dx) => new(dx.Tensor!, dx);
}

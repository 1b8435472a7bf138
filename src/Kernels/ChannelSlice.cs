namespace Diffusion.Gpu.Kernels;

/// <summary>Neighbouring channels of a tensor [.., C], for ops that write one branch of a network straight into its place.</summary>
/// <param name="Tensor">[.., C]; the channels outside the slice are left alone.</param>
/// <param name="First">The first channel of the slice.</param>
/// <param name="Count">Channels of the slice.</param>
public readonly record struct ChannelSlice(Tensor Tensor, int First, int Count)
{
    /// <summary>Values from one pixel to the next.</summary>
    internal int Stride => Tensor.Shape[^1];

    /// <summary>All channels of a tensor.</summary>
    public static implicit operator ChannelSlice(Tensor tensor) => Whole(tensor);

    /// <summary>All channels of a tensor.</summary>
    public static ChannelSlice Whole(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return new ChannelSlice(tensor, 0, tensor.Shape[^1]);
    }
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void LinearAttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor keyStatistics, Tensor context)
        => throw new NotSupportedException();

    public override void LinearAttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor keyStatistics, Tensor context, Tensor dy, Tensor dContext, GradientTarget dQkv, GradientTarget dMemory)
        => throw new NotSupportedException();
}

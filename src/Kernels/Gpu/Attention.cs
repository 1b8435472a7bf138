namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void AttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp)
        => throw new NotSupportedException();

    public override void AttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp, Tensor dy, GradientTarget dQkv, GradientTarget dMemory)
        => throw new NotSupportedException();
}

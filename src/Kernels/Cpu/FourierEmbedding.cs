namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void FourierEmbeddingForward(int n, int half, Tensor times, Tensor weights, Tensor y)
        => throw new NotSupportedException();

    public override void FourierEmbeddingBackward(int n, int half, Tensor times, Tensor weights, Tensor dy, GradientTarget dWeights)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void MeanSquaredErrorForward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor loss)
        => throw new NotSupportedException();

    public override void MeanSquaredErrorBackward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor dLoss, GradientTarget dPrediction)
        => throw new NotSupportedException();
}

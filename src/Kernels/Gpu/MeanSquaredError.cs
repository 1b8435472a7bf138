using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void MeanSquaredErrorForward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor loss)
        => Total(n, p, new SquaredDifferenceTerm(View(prediction), View(target)), weights, (float)(1.0 / n / p), loss);

    public override void MeanSquaredErrorBackward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor dLoss,
        GradientTarget dPrediction)
    {
        if (dPrediction.Tensor is not null)
        {
            _launcher.ForEach(prediction.Count, new SquaredErrorKernel(View(prediction), View(target), ViewOrEmpty(weights),
                weights is null ? 0 : 1, p, (float)(2.0 / n / p), View(dLoss), To(dPrediction)));
        }
    }

    internal readonly struct SquaredDifferenceTerm(ArrayView<float> prediction, ArrayView<float> target) : ITerm
    {
        public float At(int i)
        {
            float difference = prediction[i] - target[i];
            return difference * difference;
        }
    }

    internal readonly struct SquaredErrorKernel(ArrayView<float> prediction, ArrayView<float> target, ArrayView<float> weights,
        int weighted, int p, float scale, ArrayView<float> dLoss, Target dPrediction) : IElementKernel
    {
        public void Run(int i)
        {
            float factor = scale * dLoss[0];
            if (weighted != 0)
                factor *= weights[i / p];
            dPrediction.Store(i, factor * (prediction[i] - target[i]));
        }
    }
}

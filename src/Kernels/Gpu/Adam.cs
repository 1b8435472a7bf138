using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Adam(in AdamStep step, Tensor value, Tensor gradient, Tensor firstMoment, Tensor secondMoment, Tensor squaredNorm)
        => _launcher.ForEach(value.Count, new AdamKernel(step, float.IsPositiveInfinity(step.MaxNorm) ? 0 : 1, View(value), View(gradient),
            View(firstMoment), View(secondMoment), View(squaredNorm)));

    /// <summary>Every thread derives the clipping factor from the norm on the device, so that the host waits for nothing.</summary>
    internal readonly struct AdamKernel(AdamStep step, int clips, ArrayView<float> value, ArrayView<float> gradient,
        ArrayView<float> firstMoment, ArrayView<float> secondMoment, ArrayView<float> squaredNorm) : IElementKernel
    {
        public void Run(int i)
        {
            float g = gradient[i];
            if (clips != 0)
            {
                float factor = step.MaxNorm / (MathF.Sqrt(squaredNorm[0]) + 1e-6f);
                g *= factor > 1 ? 1 : factor;
            }
            float m = firstMoment[i], v = secondMoment[i];
            m += (1 - step.Beta1) * (g - m);
            v = (step.Beta2 * v) + ((1 - step.Beta2) * g * g);
            firstMoment[i] = m;
            secondMoment[i] = v;
            value[i] -= step.LearningRate / step.BiasCorrection1 * m / ((MathF.Sqrt(v) / step.BiasCorrection2Root) + step.Epsilon);
        }
    }
}

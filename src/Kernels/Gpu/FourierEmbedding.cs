using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void FourierEmbeddingForward(int n, int half, Tensor times, Tensor weights, Tensor y)
        => _launcher.ForEach(n * (half + 1L), new FourierForwardKernel(View(times), View(weights), half, View(y)));

    public override void FourierEmbeddingBackward(int n, int half, Tensor times, Tensor weights, Tensor dy, GradientTarget dWeights)
    {
        if (dWeights.Tensor is not null)
            _launcher.ForEach(half, new FourierBackwardKernel(View(times), View(weights), View(dy), n, half, To(dWeights)));
    }

    /// <summary>Thread 0 of a time copies it, thread k + 1 computes the sine and the cosine of weight k.</summary>
    internal readonly struct FourierForwardKernel(ArrayView<float> times, ArrayView<float> weights, int half, ArrayView<float> y)
        : IElementKernel
    {
        public void Run(int i)
        {
            int n = i / (half + 1), k = i - (n * (half + 1)), at = (n * ((2 * half) + 1)) + k;
            if (k == 0)
            {
                y[at] = times[n];
                return;
            }
            float turns = Turns(times[n], weights[k - 1]);
            y[at] = KernelMath.SinTurns(turns);
            y[at + half] = KernelMath.CosTurns(turns);
        }
    }

    /// <summary>Thread = one weight; adds over the times in order.</summary>
    internal readonly struct FourierBackwardKernel(ArrayView<float> times, ArrayView<float> weights, ArrayView<float> dy, int samples,
        int half, Target dWeights) : IElementKernel
    {
        public void Run(int k)
        {
            float sum = 0;
            for (int n = 0; n < samples; n++)
            {
                int at = (n * ((2 * half) + 1)) + 1 + k;
                float turns = Turns(times[n], weights[k]);
                sum += times[n] * ((dy[at] * KernelMath.CosTurns(turns)) - (dy[at + half] * KernelMath.SinTurns(turns)));
            }
            dWeights.Store(k, sum * 6.2831853f);
        }
    }

    /// <summary>The fraction of time · weight: products of halves are exact, so whole turns come off without a rounding.</summary>
    private static float Turns(float time, float weight)
    {
        float timeA = KernelMath.UpperHalf(time), timeB = time - timeA, weightA = KernelMath.UpperHalf(weight), weightB = weight - weightA;
        return KernelMath.NearestFraction(timeB * weightB) + KernelMath.NearestFraction(timeB * weightA)
            + KernelMath.NearestFraction(timeA * weightB) + KernelMath.NearestFraction(timeA * weightA);
    }
}

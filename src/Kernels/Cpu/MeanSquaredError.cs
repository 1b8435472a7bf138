using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void MeanSquaredErrorForward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor loss)
    {
        float* a = Pointer(prediction), b = Pointer(target), w = PointerOrNull(weights);
        double* sums = Scratch.ForOp<double>(n);
        ForkJoinPool.Run(n, sample => sums[sample] = SquareSum.Of(a + ((long)sample * p), b + ((long)sample * p), p),
            parallel: (long)n * p > SquareSum.Block);
        double total = 0;
        for (int sample = 0; sample < n; sample++)
            total += (w is null ? 1 : w[sample]) * (sums[sample] / p);
        Pointer(loss)[0] = (float)(total / n);
    }

    public override void MeanSquaredErrorBackward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor dLoss,
        GradientTarget dPrediction)
    {
        double upstream = 2.0 * Pointer(dLoss)[0] / n / p;
        float* w = PointerOrNull(weights);
        ElementMap.RunPerSample(sample => new ScaledDifference((float)(upstream * (w is null ? 1 : w[sample]))), n, prediction, target,
            null, dPrediction);
    }

    private readonly struct ScaledDifference(float scale) : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => Simd.Splat(scale) * (a - b);
    }
}

using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    /// <summary>Parameters of a work item.</summary>
    private const long AdamGrain = 1 << 15;

    public override void Adam(in AdamStep step, Tensor value, Tensor gradient, Tensor firstMoment, Tensor secondMoment, Tensor squaredNorm)
    {
        var constants = step;
        float norm = MathF.Sqrt(Pointer(squaredNorm)[0]);
        float clip = float.IsPositiveInfinity(step.MaxNorm) ? 1 : MathF.Min(1, step.MaxNorm / (norm + 1e-6f));
        float* p = Pointer(value), g = Pointer(gradient), m = Pointer(firstMoment), v = Pointer(secondMoment);
        ForkJoinPool.RunRanges(value.Count, AdamGrain, (first, end)
            => AdamRange(constants, clip, p + first, g + first, m + first, v + first, end - first));
    }

    /// <summary>One pass: reads four arrays, writes three.</summary>
    private static void AdamRange(in AdamStep step, float clip, float* value, float* gradient, float* firstMoment, float* secondMoment,
        long count)
    {
        var keep1 = Simd.Splat(step.Beta1);
        var take1 = Simd.Splat((float)(1 - (double)step.Beta1));
        var keep2 = Simd.Splat(step.Beta2);
        var take2 = Simd.Splat((float)(1 - (double)step.Beta2));
        var rate = Simd.Splat(-step.LearningRate / step.BiasCorrection1);
        var root = Simd.Splat(1 / step.BiasCorrection2Root);
        var epsilon = Simd.Splat(step.Epsilon);
        var scale = Simd.Splat(clip);
        for (long i = 0; i < count; i += Simd.Width)
        {
            long left = count - i;
            var g = Simd.Load(gradient + i, left) * scale;
            var m = Simd.MultiplyAdd(keep1, Simd.Load(firstMoment + i, left), take1 * g);
            var v = Simd.MultiplyAdd(keep2, Simd.Load(secondMoment + i, left), take2 * g * g);
            var denominator = Simd.MultiplyAdd(Vector512.Sqrt(v), root, epsilon);
            Simd.Store(m, firstMoment + i, left);
            Simd.Store(v, secondMoment + i, left);
            Simd.Store(Simd.MultiplyAdd(rate, m / denominator, Simd.Load(value + i, left)), value + i, left);
        }
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void LinearCombination(int n, int p, Tensor coefficients, Tensor x, Tensor? z, Tensor? w, float clamp, Tensor y)
    {
        float* c = Pointer(coefficients);
        ElementMap.RunPerSample(sample => new Combination(c + (3 * sample), z is not null, w is not null, clamp), n, x, z, w,
            new GradientTarget(y, false));
    }

    private readonly struct Combination(float* c, bool hasZ, bool hasW, float clamp) : IElementMap
    {
        // A missing input counts as nothing even where its coefficient is infinite.
        private readonly float _x = c[0], _z = hasZ ? c[1] : 0, _w = hasW ? c[2] : 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c)
        {
            var sum = Simd.MultiplyAdd(Simd.Splat(_w), c, Simd.MultiplyAdd(Simd.Splat(_z), b, Simd.Splat(_x) * a));
            // The constants come first: then NaN passes through.
            return Vector512.MaxNative(Simd.Splat(-clamp), Vector512.MinNative(Simd.Splat(clamp), sum));
        }
    }
}

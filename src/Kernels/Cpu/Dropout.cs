using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Dropout(float rate, in RandomKey key, Tensor x, GradientTarget y)
        => PhiloxMap.Run(new Drop(rate, 1 / (1 - rate)), key, x, y);

    private readonly struct Drop(float rate, float scale) : IWordMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Vector512<uint> words, Lanes values) => Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(Uniform(words), Simd.Splat(rate)), values * Simd.Splat(scale), Lanes.Zero);
    }
}

using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Lerp(Tensor average, Tensor value, float weight)
        => ElementMap.Run(new Mix(weight), average, value, null, new GradientTarget(average, false));

    private readonly struct Mix(float weight) : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => Simd.MultiplyAdd(Simd.Splat(weight), b - a, a);
    }
}

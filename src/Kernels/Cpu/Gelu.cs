using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void GeluForward(Tensor x, Tensor y) => ElementMap.Run(default(Gelu), x, null, null, new GradientTarget(y, false));

    public override void GeluBackward(Tensor x, Tensor dy, GradientTarget dx) => ElementMap.Run(default(GeluGradient), x, dy, null, dx);

    private readonly struct Gelu : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => a * Simd.NormalCdf(a, out _);
    }

    /// <summary>dy · (Φ(x) + x φ(x)).</summary>
    private readonly struct GeluGradient : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c)
        {
            var cdf = Simd.NormalCdf(a, out var density);
            return b * Simd.MultiplyAdd(a, density, cdf);
        }
    }
}

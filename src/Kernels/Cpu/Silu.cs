using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void SiluForward(Tensor x, Tensor y) => ElementMap.Run(default(Silu), x, null, null, new GradientTarget(y, false));

    public override void SiluBackward(Tensor x, Tensor dy, GradientTarget dx) => ElementMap.Run(default(SiluGradient), x, dy, null, dx);

    private readonly struct Silu : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => a / (Lanes.One + Simd.Exp(-a));
    }

    /// <summary>dy · s · (1 + x · (1 − s)) with s = sigmoid(x).</summary>
    private readonly struct SiluGradient : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c)
        {
            var s = Simd.Sigmoid(a);
            return b * s * Simd.MultiplyAdd(a, Lanes.One - s, Lanes.One);
        }
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void ReluForward(Tensor x, Tensor y) => ElementMap.Run(default(Relu), x, null, null, new GradientTarget(y, false));

    public override void ReluBackward(Tensor y, Tensor dy, GradientTarget dx) => ElementMap.Run(default(ReluGradient), y, dy, null, dx);

    private readonly struct Relu : IElementMap
    {
        // Not a maximum: NaN must pass.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => Vector512.ConditionalSelect(Vector512.LessThan(a, Lanes.Zero), Lanes.Zero, a);
    }

    private readonly struct ReluGradient : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => Vector512.ConditionalSelect(Vector512.GreaterThan(a, Lanes.Zero), b, Lanes.Zero);
    }
}

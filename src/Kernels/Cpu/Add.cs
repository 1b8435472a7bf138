using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void AddForward(Tensor a, Tensor b, Tensor y) => ElementMap.Run(default(Sum), a, b, null, new GradientTarget(y, false));

    public override void Accumulate(Tensor x, GradientTarget target) => ElementMap.Run(default(Identity), x, null, null, target);

    private readonly struct Sum : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => a + b;
    }

    private readonly struct Identity : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => a;
    }
}

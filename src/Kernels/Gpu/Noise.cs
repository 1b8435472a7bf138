namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void FillNormal(in RandomKey key, Tensor y)
        => throw new NotSupportedException();

    public override void FillUniform(in RandomKey key, Tensor y)
        => throw new NotSupportedException();

    public override void AddPerChannel(in RowShape s, Tensor x, Tensor offset, float strength, Tensor y)
        => throw new NotSupportedException();
}

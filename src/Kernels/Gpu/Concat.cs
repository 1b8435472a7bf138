namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void ConcatForward(int rows, int columnsA, int columnsB, Tensor a, Tensor b, Tensor y)
        => throw new NotSupportedException();

    public override void ConcatBackward(int rows, int columnsA, int columnsB, Tensor dy, GradientTarget da, GradientTarget db)
        => throw new NotSupportedException();
}

namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Conv2DForward(in Conv2DShape s, Tensor x, Tensor filter, in Epilogue epilogue, Tensor y)
        => throw new NotSupportedException();

    public override void Conv2DBackwardInput(in Conv2DShape s, Tensor dy, Tensor filter, GradientTarget dx)
        => throw new NotSupportedException();

    public override void Conv2DBackwardFilter(in Conv2DShape s, Tensor x, Tensor dy, GradientTarget dFilter)
        => throw new NotSupportedException();

    public override void ColumnSum(int rows, int columns, Tensor x, GradientTarget sum)
        => throw new NotSupportedException();
}

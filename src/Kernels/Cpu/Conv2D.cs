namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void Conv2DForward(in Conv2DShape s, Tensor x, Tensor filter, in Epilogue epilogue, in ChannelSlice y)
    {
        float* bias = epilogue.Bias is null ? null : Pointer(epilogue.Bias);
        float* residual = epilogue.Residual is null ? null : Pointer(epilogue.Residual);
        var packed = PackedFilters.Of(filter).Forward(s, Pointer(filter));
        GemmConv2D.Forward(s, Pointer(x), packed, new GemmEpilogue(bias, residual, s.K, epilogue.Activation), Pointer(y),
            y.Stride);
    }

    public override void Conv2DBackwardInput(in Conv2DShape s, Tensor dy, Tensor filter, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        var packed = PackedFilters.Of(filter).BackwardInput(s, Pointer(filter));
        GemmConv2D.BackwardInput(s, Pointer(dy), packed, Pointer(dx.Tensor), dx.Accumulate);
    }

    public override void Conv2DBackwardFilter(in Conv2DShape s, Tensor x, Tensor dy, GradientTarget dFilter)
    {
        if (dFilter.Tensor is not null)
            GemmConv2D.BackwardFilter(s, Pointer(x), Pointer(dy), Pointer(dFilter.Tensor), dFilter.Accumulate);
    }

    public override void ColumnSum(int rows, int columns, Tensor x, GradientTarget sum)
    {
        if (sum.Tensor is not null)
            GemmColumnSum.Run(rows, columns, Pointer(x), Pointer(sum.Tensor), sum.Accumulate);
    }
}

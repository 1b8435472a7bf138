namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void Conv2DForward(in Conv2DShape s, in Conv2DInput x, Tensor filter, in Epilogue epilogue, in ChannelSlice y)
    {
        float* bias = epilogue.Bias is null ? null : Pointer(epilogue.Bias);
        float* residual = epilogue.Residual is null ? null : Pointer(epilogue.Residual);
        var packed = PackedFilters.Of(filter).Forward(s, Pointer(filter));
        GemmConv2D.Forward(s, GemmImages.Of(x), packed, new GemmEpilogue(bias, residual, s.K, epilogue.Activation), Pointer(y),
            y.Stride);
    }

    public override void Conv2DBackwardInput(in Conv2DShape s, Tensor dy, Tensor filter, in Conv2DInputTarget dx)
    {
        int firstChannels = dx.Input.FirstChannels;
        var packed = PackedFilters.Of(filter).BackwardInput(s, Pointer(filter), dx.Input);
        if (dx.Input.IsUpsampled)
            GemmConv2D.BackwardUpsampledInput(s, Pointer(dy), packed, Pointer(dx.First.Tensor!), dx.First.Accumulate);
        else if (firstChannels == s.C)
            GemmConv2D.BackwardInput(s, Pointer(dy), packed, Pointer(dx.First.Tensor!), dx.First.Accumulate);
        else
            GemmConv2D.BackwardTwoInputs(s, Pointer(dy), packed, firstChannels, PointerOrNull(dx.First.Tensor), dx.First.Accumulate,
                PointerOrNull(dx.Second.Tensor), dx.Second.Accumulate);
    }

    public override void Conv2DBackwardFilter(in Conv2DShape s, in Conv2DInput x, Tensor dy, GradientTarget dFilter)
    {
        if (dFilter.Tensor is not null)
            GemmConv2D.BackwardFilter(s, GemmImages.Of(x), Pointer(dy), Pointer(dFilter.Tensor), dFilter.Accumulate);
    }

    public override void ColumnSum(int rows, int columns, Tensor x, GradientTarget sum)
    {
        if (sum.Tensor is not null)
            GemmColumnSum.Run(rows, columns, Pointer(x), Pointer(sum.Tensor), sum.Accumulate);
    }
}

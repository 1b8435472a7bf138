using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Convolution and its gradients as matrix products whose operands are gathered from images while they run: nothing is unfolded in memory.
/// </summary>
internal sealed partial class GpuBackend
{
    public override void Conv2DForward(in Conv2DShape s, in Conv2DInput x, Tensor filter, in Epilogue epilogue, in ChannelSlice y)
    {
        Enter("forward", filter);
        using var images = Stage(s, x);
        using var weights = StageWeights(filter, s.C);
        var staged = s with { C = images.Channels };
        bool isFourWide = IsFourWide(s.K | y.First | y.Stride, y.Tensor, epilogue.Bias, epilogue.Residual);
        if (isFourWide && images.IsFourWide && weights.IsFourWide)
            Conv2DForwardImplicitGemm<FourWide, EpilogueResult<FourWide>>(staged, images, weights, Result<FourWide>(s, epilogue, y));
        else if (UsesTiles)
            Conv2DForwardImplicitGemm<FourWide, EpilogueResult<OneWide>>(staged, images, weights, Result<OneWide>(s, epilogue, y));
        else
            Conv2DForwardImplicitGemm<OneWide, EpilogueResult<OneWide>>(staged, images, weights, Result<OneWide>(s, epilogue, y));
    }

    /// <summary>What is staged of dy is staged once for both.</summary>
    public override void Conv2DBackward(in Conv2DShape s, Tensor dy, Tensor filter, in Conv2DInputTarget dx, GradientTarget dFilter)
    {
        using var gradient = Stage(dy, s.K);
        Conv2DBackwardFilter(s, dx.Input, gradient, dFilter);
        Conv2DBackwardInput(s, gradient, filter, dx, dy);
    }

    public override void Conv2DBackwardFilter(in Conv2DShape s, in Conv2DInput x, Tensor dy, GradientTarget dFilter)
    {
        using var gradient = Stage(dy, s.K);
        Conv2DBackwardFilter(s, x, gradient, dFilter);
    }

    private void Conv2DBackwardFilter(in Conv2DShape s, in Conv2DInput x, Operand gradient, GradientTarget dFilter)
    {
        if (dFilter.Tensor is null)
            return;
        Enter("filter gradient", dFilter.Tensor);
        using var images = Stage(s, x);
        if (images.Channels != s.C)
            Conv2DBackwardFilterPadded(s, images, gradient, dFilter);
        else if (IsFourWide(s.C, dFilter.Tensor) && images.IsFourWide && gradient.IsFourWide)
            Conv2DBackwardFilterImplicitGemm<FourWide, FourWide>(s, images, gradient, dFilter);
        else if (UsesTiles)
            Conv2DBackwardFilterImplicitGemm<FourWide, OneWide>(s, images, gradient, dFilter);
        else
            Conv2DBackwardFilterImplicitGemm<OneWide, OneWide>(s, images, gradient, dFilter);
    }

    private static EpilogueResult<TWidth> Result<TWidth>(in Conv2DShape s, in Epilogue epilogue, in ChannelSlice y)
        where TWidth : struct, IAccessWidth
        => new()
        {
            Values = View(y.Tensor),
            Lines = s.Pixels,
            Columns = s.K,
            Stride = y.Stride,
            First = y.First,
            Bias = View(epilogue.Bias ?? y.Tensor),
            HasBias = epilogue.Bias is null ? 0 : 1,
            Residual = View(epilogue.Residual ?? y.Tensor),
            HasResidual = epilogue.Residual is null ? 0 : 1,
            Activation = (int)epilogue.Activation,
        };

    /// <summary>Lines are output pixels, columns are output channels, depth runs over taps and input channels.</summary>
    private void Conv2DForwardImplicitGemm<TWidth, TResult>(in Conv2DShape s, ImageOperand images, Operand filter, TResult result,
        TileSize? tile = null)
        where TWidth : struct, IAccessWidth
        where TResult : struct, IResult
    {
        var weights = new MatrixSource<TWidth> { Matrix = filter.Values, Rows = s.K, Columns = s.Depth };
        var product = ForwardProduct(s);
        if (images.IsUpsampled)
        {
            Multiply<UpsampledPatchSource<TWidth>, ColumnsAreDepth, MatrixSource<TWidth>, ColumnsAreDepth, TResult>(
                UpsampledPatches<TWidth>(s, images), weights, result, product, tile);
        }
        else if (images.AreJoined)
        {
            Multiply<JoinedPatchSource<TWidth>, ColumnsAreDepth, MatrixSource<TWidth>, ColumnsAreDepth, TResult>(
                JoinedPatches<TWidth>(s, images), weights, result, product, tile);
        }
        else
        {
            Multiply<PatchSource<TWidth>, ColumnsAreDepth, MatrixSource<TWidth>, ColumnsAreDepth, TResult>(
                Patches<TWidth>(s, images), weights, result, product, tile);
        }
    }

    /// <summary>Lines are output channels, columns are taps and input channels, depth runs over the pixels of the batch.</summary>
    private void Conv2DBackwardFilterImplicitGemm<TWidth, TResultWidth>(in Conv2DShape s, ImageOperand images, Operand dy,
        GradientTarget dFilter)
        where TWidth : struct, IAccessWidth
        where TResultWidth : struct, IAccessWidth
        => Conv2DBackwardFilterImplicitGemm<TWidth, MatrixResult<TResultWidth>>(s, images, dy,
            new MatrixResult<TResultWidth>
            {
                Values = View(dFilter.Tensor!),
                Lines = s.K,
                Columns = s.Depth,
                Accumulate = dFilter.Accumulate ? 1 : 0,
            },
            SplitProduct(s.K, s.Depth, s.Pixels));

    /// <summary>
    /// The same where channels were padded: the gradient of the padding is computed and left behind. Even a whole sum is taken as a part,
    /// so that there need be no tiles for a result that few filters have.
    /// </summary>
    private void Conv2DBackwardFilterPadded(in Conv2DShape s, ImageOperand images, Operand dy, GradientTarget dFilter)
    {
        var staged = s with { C = images.Channels };
        var product = SplitProduct(s.K, staged.Depth, s.Pixels);
        product.SliceStep = product.SliceDepth;
        Conv2DBackwardFilterImplicitGemm<FourWide, UnpaddedFilterResult>(staged, images, dy,
            new UnpaddedFilterResult
            {
                Values = View(dFilter.Tensor!),
                Lines = s.K,
                Taps = s.R * s.S,
                Channels = s.C,
                PaddedChannels = Divisor.Of(staged.C),
                Accumulate = dFilter.Accumulate ? 1 : 0,
            },
            product);
    }

    private void Conv2DBackwardFilterImplicitGemm<TWidth, TResult>(in Conv2DShape s, ImageOperand images, Operand dy, TResult result,
        GemmShape product)
        where TWidth : struct, IAccessWidth
        where TResult : struct, IResult
    {
        var gradient = new MatrixSource<TWidth> { Matrix = dy.Values, Rows = s.Pixels, Columns = dy.Columns };
        if (images.IsUpsampled)
        {
            Multiply<MatrixSource<TWidth>, RowsAreDepth, UpsampledPatchSource<TWidth>, RowsAreDepth, TResult>(
                gradient, UpsampledPatches<TWidth>(s, images), result, product);
        }
        else if (images.AreJoined)
        {
            Multiply<MatrixSource<TWidth>, RowsAreDepth, JoinedPatchSource<TWidth>, RowsAreDepth, TResult>(
                gradient, JoinedPatches<TWidth>(s, images), result, product);
        }
        else
        {
            Multiply<MatrixSource<TWidth>, RowsAreDepth, PatchSource<TWidth>, RowsAreDepth, TResult>(
                gradient, Patches<TWidth>(s, images), result, product);
        }
    }

    private PatchSource<TWidth> Patches<TWidth>(in Conv2DShape s, ImageOperand images)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), Image = images.First };

    private JoinedPatchSource<TWidth> JoinedPatches<TWidth>(in Conv2DShape s, ImageOperand images)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), First = images.First, Second = images.Second, FirstChannels = images.FirstChannels };

    private UpsampledPatchSource<TWidth> UpsampledPatches<TWidth>(in Conv2DShape s, ImageOperand images)
        where TWidth : struct, IAccessWidth
        => UpsampledPatchSource<TWidth>.Of(Window(s), images.First);

    /// <summary>The window over a convolution's input.</summary>
    private PatchWindow Window(in Conv2DShape s) => new PatchWindow
    {
        ImageH = s.H,
        ImageW = s.W,
        Channels = Divisor.Of(s.C),
        TapsW = Divisor.Of(s.S),
        Columns = s.Depth,
        Rows = s.Pixels,
        PositionsH = Divisor.Of(s.OutH),
        PositionsW = Divisor.Of(s.OutW),
        Stride = s.Stride,
        OriginH = -s.PadH,
        OriginW = -s.PadW,
        Step = 1,
    }.Stepping(StageDepth);

    /// <summary>Whether rows of this many values can be read four at a time: 16-byte rows in 16-byte aligned memory. Several lengths that
    /// must all allow it are joined by "or".</summary>
    private static bool IsFourWide(int columns, params ReadOnlySpan<Tensor?> tensors)
    {
        bool isFourWide = (columns & 3) == 0;
        foreach (var tensor in tensors)
            isFourWide &= tensor is null || (tensor.Storage.Offset & 3) == 0;
        return isFourWide;
    }
}

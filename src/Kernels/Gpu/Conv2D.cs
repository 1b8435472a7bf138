using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Convolution and its gradients as matrix products whose operands are gathered from images while they run: nothing is unfolded in memory.
/// </summary>
internal sealed partial class GpuBackend
{
    /// <summary>Groups of threads that a split sum aims at: enough for the largest devices, the same for all of them.</summary>
    private const int SplitGroups = 512;

    /// <summary>Pixels below which a further split of the filter's gradient costs more than it brings.</summary>
    private const int SmallestSplit = 512;

    public override void Conv2DForward(in Conv2DShape s, in Conv2DInput x, Tensor filter, in Epilogue epilogue, in ChannelSlice y)
    {
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

    public override void Conv2DBackwardFilter(in Conv2DShape s, in Conv2DInput x, Tensor dy, GradientTarget dFilter)
    {
        if (dFilter.Tensor is null)
            return;
        using var images = Stage(s, x);
        using var gradient = Stage(dy, s.K);
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
        var product = Product(s.Pixels, s.K, s.Depth);
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

    /// <summary>
    /// Lines are output channels, columns are taps and input channels, depth runs over the pixels of the batch. A small filter leaves too
    /// few tiles to fill a device, so the pixels are split; the parts are added in order by <see cref="SumRows"/>.
    /// </summary>
    private void Conv2DBackwardFilterImplicitGemm<TWidth, TResultWidth>(in Conv2DShape s, ImageOperand images, Operand dy,
        GradientTarget dFilter)
        where TWidth : struct, IAccessWidth
        where TResultWidth : struct, IAccessWidth
    {
        var (product, tile) = SplitProduct(s);
        int size = s.K * s.Depth;
        using var partial = Rent(product.Slices == 1 ? 1 : (long)product.Slices * size);
        var target = new MatrixResult<TResultWidth>
        {
            Values = product.Slices == 1 ? View(dFilter.Tensor!) : partial.View,
            Lines = s.K,
            Columns = s.Depth,
            SliceStride = size,
            Accumulate = product.Slices == 1 && dFilter.Accumulate ? 1 : 0,
        };
        Conv2DBackwardFilterParts<TWidth, TResultWidth>(s, images, dy, target, product, tile);
        if (product.Slices > 1)
            SumRows(product.Slices, size, partial.View, To(dFilter));
    }

    /// <summary>The same where channels were padded: the gradient of the padding is computed and left behind.</summary>
    private void Conv2DBackwardFilterPadded(in Conv2DShape s, ImageOperand images, Operand dy, GradientTarget dFilter)
    {
        var staged = s with { C = images.Channels };
        var (product, tile) = SplitProduct(staged);
        int size = s.K * staged.Depth;
        using var partial = Rent((long)product.Slices * size);
        var target = new MatrixResult<FourWide> { Values = partial.View, Lines = s.K, Columns = staged.Depth, SliceStride = size };
        Conv2DBackwardFilterParts<FourWide, FourWide>(staged, images, dy, target, product, tile);
        _launcher.ForEach((long)s.K * s.Depth,
            new SumPaddedKernel(partial.View, product.Slices, size, Divisor.Of(s.C), staged.C, To(dFilter)));
    }

    private void Conv2DBackwardFilterParts<TWidth, TResultWidth>(in Conv2DShape s, ImageOperand images, Operand dy,
        MatrixResult<TResultWidth> target, GemmShape product, TileSize tile)
        where TWidth : struct, IAccessWidth
        where TResultWidth : struct, IAccessWidth
    {
        var gradient = new MatrixSource<TWidth> { Matrix = dy.Values, Rows = s.Pixels, Columns = dy.Columns };
        if (images.IsUpsampled)
        {
            Multiply<MatrixSource<TWidth>, RowsAreDepth, UpsampledPatchSource<TWidth>, RowsAreDepth, MatrixResult<TResultWidth>>(
                gradient, UpsampledPatches<TWidth>(s, images), target, product, tile);
        }
        else if (images.AreJoined)
        {
            Multiply<MatrixSource<TWidth>, RowsAreDepth, JoinedPatchSource<TWidth>, RowsAreDepth, MatrixResult<TResultWidth>>(
                gradient, JoinedPatches<TWidth>(s, images), target, product, tile);
        }
        else
        {
            Multiply<MatrixSource<TWidth>, RowsAreDepth, PatchSource<TWidth>, RowsAreDepth, MatrixResult<TResultWidth>>(
                gradient, Patches<TWidth>(s, images), target, product, tile);
        }
    }

    private (GemmShape Product, TileSize Tile) SplitProduct(in Conv2DShape s)
    {
        int most = Math.Max(1, s.Pixels / SmallestSplit);
        var tile = TileFor(s.K, s.Depth, most);
        int parts = (int)Math.Clamp(SplitGroups / tile.Count(s.K, s.Depth), 1, most);
        int stages = (s.Pixels + (parts * tile.StageDepth) - 1) / (parts * tile.StageDepth);
        var product = Product(s.K, s.Depth, s.Pixels) with { SliceDepth = stages * tile.StageDepth };
        product.SliceStep = product.SliceDepth;
        product.Slices = (s.Pixels + product.SliceDepth - 1) / product.SliceDepth;
        return (product, tile);
    }

    /// <summary>Thread = one value of the gradient: its parts in order, of rows that are longer by the padding.</summary>
    internal readonly struct SumPaddedKernel(ArrayView<float> parts, int count, int size, Divisor columns, int padded, Target sum)
        : IElementKernel
    {
        public void Run(int i)
        {
            int row = columns.Divide(i), at = (row * padded) + columns.Remainder(i, row);
            float value = 0;
            for (int part = 0; part < count; part++)
                value += parts[(part * size) + at];
            sum.Store(i, value);
        }
    }

    private static PatchSource<TWidth> Patches<TWidth>(in Conv2DShape s, ImageOperand images)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), Image = images.First };

    private static JoinedPatchSource<TWidth> JoinedPatches<TWidth>(in Conv2DShape s, ImageOperand images)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), First = images.First, Second = images.Second, FirstChannels = images.FirstChannels };

    private static UpsampledPatchSource<TWidth> UpsampledPatches<TWidth>(in Conv2DShape s, ImageOperand images)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), Image = images.First };

    /// <summary>The window over a convolution's input.</summary>
    private static PatchWindow Window(in Conv2DShape s) => new()
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
    };

    private static GemmShape Product(int lines, int columns, int depth, int slices = 1)
        => new() { Lines = lines, Columns = columns, Depth = depth, Slices = slices, SliceDepth = depth };

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

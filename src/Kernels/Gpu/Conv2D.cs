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
        if (IsFourWide(s.C | x.FirstChannels, x.First, x.Second)
            && IsFourWide(s.K | y.First | y.Stride, filter, y.Tensor, epilogue.Bias, epilogue.Residual))
            Conv2DForwardImplicitGemm<FourWide>(s, x, filter, epilogue, y);
        else
            Conv2DForwardImplicitGemm<OneWide>(s, x, filter, epilogue, y);
    }

    public override void Conv2DBackwardInput(in Conv2DShape s, Tensor dy, Tensor filter, in Conv2DInputTarget dx)
    {
        bool isFourWide = IsFourWide(s.K | s.C | dx.Input.FirstChannels, dy, filter, dx.First.Tensor, dx.Second.Tensor);
        if (dx.Input.IsUpsampled)
        {
            var window = Conv2DGradientWindow.OfUpsampled(s);
            long count = (long)s.K * window.R * window.S * s.C;
            using var summed = Rent(count);
            _launcher.ForEach(count, new SummedFilterKernel(View(filter), s.R, s.S, s.C, summed.View));
            Conv2DBackwardInput(s, window, isFourWide, dy, summed.View, dx);
            return;
        }
        // Every class of pixels (row mod stride, column mod stride) meets taps of its own and is a dense product.
        for (int h = 0; h < Math.Min(s.Stride, s.H); h++)
        {
            for (int w = 0; w < Math.Min(s.Stride, s.W); w++)
                Conv2DBackwardInput(s, Conv2DGradientWindow.OfClass(s, h, w), isFourWide, dy, View(filter), dx);
        }
    }

    public override void Conv2DBackwardFilter(in Conv2DShape s, in Conv2DInput x, Tensor dy, GradientTarget dFilter)
    {
        if (dFilter.Tensor is null)
            return;
        if (IsFourWide(s.K | s.C | x.FirstChannels, x.First, x.Second, dy, dFilter.Tensor))
            Conv2DBackwardFilterImplicitGemm<FourWide>(s, x, dy, dFilter);
        else
            Conv2DBackwardFilterImplicitGemm<OneWide>(s, x, dy, dFilter);
    }

    private void Conv2DForwardImplicitGemm<TWidth>(in Conv2DShape s, in Conv2DInput x, Tensor filter, in Epilogue epilogue,
        in ChannelSlice y)
        where TWidth : struct, IAccessWidth
    {
        if (x.IsUpsampled)
            Conv2DForwardImplicitGemm<UpsampledPatchSource<TWidth>, TWidth>(s, UpsampledPatches<TWidth>(s, x.First), filter, epilogue, y);
        else if (x.Second is null)
            Conv2DForwardImplicitGemm<PatchSource<TWidth>, TWidth>(s, Patches<TWidth>(s, x.First), filter, epilogue, y);
        else
            Conv2DForwardImplicitGemm<JoinedPatchSource<TWidth>, TWidth>(s, JoinedPatches<TWidth>(s, x), filter, epilogue, y);
    }

    /// <summary>Lines are output pixels, columns are output channels, depth runs over taps and input channels.</summary>
    private void Conv2DForwardImplicitGemm<TPatches, TWidth>(in Conv2DShape s, TPatches patches, Tensor filter, in Epilogue epilogue,
        in ChannelSlice y)
        where TPatches : struct, IOperandSource
        where TWidth : struct, IAccessWidth
        => Multiply<TPatches, ColumnsAreDepth, MatrixSource<TWidth>, ColumnsAreDepth, EpilogueResult<TWidth>>(
            patches,
            new MatrixSource<TWidth> { Matrix = View(filter), Rows = s.K, Columns = s.Depth },
            new EpilogueResult<TWidth>
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
            },
            Product(s.Pixels, s.K, s.Depth));

    private void Conv2DBackwardInput(in Conv2DShape s, in Conv2DGradientWindow window, bool isFourWide, Tensor dy,
        ArrayView<float> filter, in Conv2DInputTarget dx)
    {
        if (isFourWide)
            Conv2DBackwardInputImplicitGemm<FourWide>(s, window, dy, filter, dx);
        else
            Conv2DBackwardInputImplicitGemm<OneWide>(s, window, dy, filter, dx);
    }

    /// <summary>
    /// Lines are the pixels of the class, columns are input channels, depth runs over the taps that reach it and output channels.
    /// </summary>
    private void Conv2DBackwardInputImplicitGemm<TWidth>(in Conv2DShape s, in Conv2DGradientWindow window, Tensor dy,
        ArrayView<float> filter, in Conv2DInputTarget dx)
        where TWidth : struct, IAccessWidth
    {
        int depth = window.TapsH * window.TapsW * s.K, lines = s.N * window.PixelsH * window.PixelsW;
        var tapsW = Divisor.Of(Math.Max(1, window.TapsW));
        Multiply<PatchSource<TWidth>, ColumnsAreDepth, TurnedFilterSource<TWidth>, RowsAreDepth, PixelResult<TWidth>>(
            new PatchSource<TWidth>
            {
                Image = View(dy),
                Window = new PatchWindow
                {
                    ImageH = s.OutH,
                    ImageW = s.OutW,
                    Channels = Divisor.Of(s.K),
                    TapsW = tapsW,
                    Columns = depth,
                    Rows = lines,
                    PositionsH = Divisor.Of(window.PixelsH),
                    PositionsW = Divisor.Of(window.PixelsW),
                    Stride = window.WindowStep,
                    OriginH = window.OriginH,
                    OriginW = window.OriginW,
                    Step = -1,
                },
            },
            new TurnedFilterSource<TWidth>
            {
                Filter = filter,
                K = Divisor.Of(s.K),
                TapsW = tapsW,
                Rows = depth,
                R = window.R,
                S = window.S,
                C = s.C,
                FirstR = window.FirstR,
                FirstS = window.FirstS,
                Stride = window.TapStep,
            },
            new PixelResult<TWidth>
            {
                Lines = lines,
                H = window.H,
                W = window.W,
                PixelsH = Divisor.Of(window.PixelsH),
                PixelsW = Divisor.Of(window.PixelsW),
                FirstH = window.FirstH,
                FirstW = window.FirstW,
                Step = window.Step,
                First = Channels(dx.Input.FirstChannels, dx.First, dy),
                Second = Channels(s.C - dx.Input.FirstChannels, dx.Second, dy),
            },
            Product(lines, s.C, depth));
    }

    private void Conv2DBackwardFilterImplicitGemm<TWidth>(in Conv2DShape s, in Conv2DInput x, Tensor dy, GradientTarget dFilter)
        where TWidth : struct, IAccessWidth
    {
        if (x.IsUpsampled)
            Conv2DBackwardFilterImplicitGemm<UpsampledPatchSource<TWidth>, TWidth>(s, UpsampledPatches<TWidth>(s, x.First), dy, dFilter);
        else if (x.Second is null)
            Conv2DBackwardFilterImplicitGemm<PatchSource<TWidth>, TWidth>(s, Patches<TWidth>(s, x.First), dy, dFilter);
        else
            Conv2DBackwardFilterImplicitGemm<JoinedPatchSource<TWidth>, TWidth>(s, JoinedPatches<TWidth>(s, x), dy, dFilter);
    }

    /// <summary>
    /// Lines are output channels, columns are taps and input channels, depth runs over the pixels of the batch. A small filter leaves too
    /// few tiles to fill a device, so the pixels are split; the parts are added in order by <see cref="SumRows"/>.
    /// </summary>
    private void Conv2DBackwardFilterImplicitGemm<TPatches, TWidth>(in Conv2DShape s, TPatches patches, Tensor dy, GradientTarget dFilter)
        where TPatches : struct, IOperandSource
        where TWidth : struct, IAccessWidth
    {
        int most = Math.Max(1, s.Pixels / SmallestSplit);
        var tile = TileFor<MatrixSource<TWidth>, TPatches>(s.K, s.Depth, most);
        int parts = (int)Math.Clamp(SplitGroups / tile.Count(s.K, s.Depth), 1, most);
        int stages = (s.Pixels + (parts * tile.StageDepth) - 1) / (parts * tile.StageDepth);
        var product = Product(s.K, s.Depth, s.Pixels) with { SliceDepth = stages * tile.StageDepth };
        product.SliceStep = product.SliceDepth;
        product.Slices = (s.Pixels + product.SliceDepth - 1) / product.SliceDepth;
        int size = s.K * s.Depth;
        using var partial = Rent(product.Slices == 1 ? 1 : (long)product.Slices * size);
        var target = product.Slices == 1 ? View(dFilter.Tensor!) : partial.View;
        Multiply<MatrixSource<TWidth>, RowsAreDepth, TPatches, RowsAreDepth, MatrixResult<TWidth>>(
            new MatrixSource<TWidth> { Matrix = View(dy), Rows = s.Pixels, Columns = s.K },
            patches,
            new MatrixResult<TWidth>
            {
                Values = target,
                Lines = s.K,
                Columns = s.Depth,
                SliceStride = size,
                Accumulate = product.Slices == 1 && dFilter.Accumulate ? 1 : 0,
            },
            product, tile);
        if (product.Slices > 1)
            SumRows(product.Slices, size, partial.View, To(dFilter));
    }

    private static PatchSource<TWidth> Patches<TWidth>(in Conv2DShape s, Tensor x)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), Image = View(x) };

    private static JoinedPatchSource<TWidth> JoinedPatches<TWidth>(in Conv2DShape s, in Conv2DInput x)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), First = View(x.First), Second = View(x.Second!), FirstChannels = x.FirstChannels };

    private static UpsampledPatchSource<TWidth> UpsampledPatches<TWidth>(in Conv2DShape s, Tensor x)
        where TWidth : struct, IAccessWidth
        => new() { Window = Window(s), Image = View(x) };

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

    /// <param name="count">Channels of the image.</param>
    /// <param name="target">Its gradient, or none.</param>
    /// <param name="other">Gives a view where there is no gradient; it is not written.</param>
    private static PixelChannels Channels(int count, GradientTarget target, Tensor other) => new()
    {
        Values = View(target.Tensor ?? other),
        Count = count,
        IsWanted = target.Tensor is null ? 0 : 1,
        Accumulate = target.Accumulate ? 1 : 0,
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

    /// <summary>Thread = one value of the filter [K,R+1,S+1,C] of which <see cref="Conv2DGradientWindow.OfUpsampled"/> speaks.</summary>
    internal readonly struct SummedFilterKernel(ArrayView<float> filter, int r, int s, int c, ArrayView<float> summed) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, r + 1, s + 1, c);
            summed[i] = Tap(at, 0, 0) + Tap(at, 0, 1) + (Tap(at, 1, 0) + Tap(at, 1, 1));
        }

        private float Tap(Pixel at, int up, int left)
        {
            int row = at.H - up, column = at.W - left;
            return (uint)row < (uint)r & (uint)column < (uint)s ? filter[(((((at.N * r) + row) * s) + column) * c) + at.C] : 0;
        }
    }
}

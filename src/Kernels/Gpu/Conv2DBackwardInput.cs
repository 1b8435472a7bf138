using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>The gradient of a convolution's input: a dense product for every class of pixels that meet the same taps.</summary>
internal sealed partial class GpuBackend
{
    public override void Conv2DBackwardInput(in Conv2DShape s, Tensor dy, Tensor filter, in Conv2DInputTarget dx)
    {
        Enter("input gradient", filter);
        using var gradient = Stage(dy, s.K);
        Conv2DBackwardInput(s, gradient, filter, dx, dy);
    }

    private void Conv2DBackwardInput(in Conv2DShape s, Operand gradient, Tensor filter, in Conv2DInputTarget dx, Tensor dy)
    {
        if (dx.Input.IsUpsampled)
        {
            Conv2DBackwardInput(s, Conv2DGradientWindow.OfUpsampled(s), gradient, filter, dx, dy);
            return;
        }
        // Every class of pixels (row mod stride, column mod stride) meets taps of its own and is a dense product.
        for (int h = 0; h < Math.Min(s.Stride, s.H); h++)
        {
            for (int w = 0; w < Math.Min(s.Stride, s.W); w++)
                Conv2DBackwardInput(s, Conv2DGradientWindow.OfClass(s, h, w), gradient, filter, dx, dy);
        }
    }

    private void Conv2DBackwardInput(in Conv2DShape s, in Conv2DGradientWindow window, Operand gradient, Tensor filter,
        in Conv2DInputTarget dx, Tensor dy)
    {
        bool isFourWide = IsFourWide(s.C | dx.Input.FirstChannels, dx.First.Tensor, dx.Second.Tensor);
        if (UsesTiles)
        {
            using var turned = StageTurned(filter, s, window, dx.Input.IsUpsampled);
            var staged = s with { K = gradient.Columns };
            if (isFourWide)
                Conv2DBackwardInputTiles<FourWide>(staged, window, gradient, turned, dx, dy);
            else
                Conv2DBackwardInputTiles<OneWide>(staged, window, gradient, turned, dx, dy);
            return;
        }
        using var summed = Rent(dx.Input.IsUpsampled ? (long)s.K * window.R * window.S * s.C : 1);
        if (dx.Input.IsUpsampled)
            SumTaps(filter, s, summed.View);
        var weights = dx.Input.IsUpsampled ? summed.View : View(filter);
        if (isFourWide && gradient.IsFourWide && IsFourWide(s.C, filter))
            Conv2DBackwardInputImplicitGemm<FourWide>(s, window, gradient, weights, dx, dy);
        else
            Conv2DBackwardInputImplicitGemm<OneWide>(s, window, gradient, weights, dx, dy);
    }

    /// <summary>
    /// Lines are the pixels of the class, columns are input channels, depth runs over the taps that reach it and output channels.
    /// </summary>
    private void Conv2DBackwardInputImplicitGemm<TWidth>(in Conv2DShape s, in Conv2DGradientWindow window, Operand gradient,
        ArrayView<float> filter, in Conv2DInputTarget dx, Tensor dy)
        where TWidth : struct, IAccessWidth
    {
        var product = Product(s, window);
        Multiply<PatchSource<TWidth>, ColumnsAreDepth, TurnedFilterSource<TWidth>, RowsAreDepth, PixelResult<TWidth>>(
            Patches<TWidth>(s, window, product, gradient),
            new TurnedFilterSource<TWidth>
            {
                Filter = filter,
                K = Divisor.Of(s.K),
                TapsW = Divisor.Of(Math.Max(1, window.TapsW)),
                Rows = product.Depth,
                R = window.R,
                S = window.S,
                C = s.C,
                FirstR = window.FirstR,
                FirstS = window.FirstS,
                Stride = window.TapStep,
            },
            Pixels<TWidth>(s, window, product, dx, dy),
            product);
    }

    /// <summary>The same on tensor cores, with a filter that is turned: see <see cref="StageTurned"/>.</summary>
    private void Conv2DBackwardInputTiles<TWidth>(in Conv2DShape s, in Conv2DGradientWindow window, Operand gradient, Operand turned,
        in Conv2DInputTarget dx, Tensor dy)
        where TWidth : struct, IAccessWidth
    {
        var product = Product(s, window);
        var patches = Patches<FourWide>(s, window, product, gradient);
        var pixels = Pixels<TWidth>(s, window, product, dx, dy);
        Multiply<PatchSource<FourWide>, ColumnsAreDepth, MatrixSource<FourWide>, ColumnsAreDepth, PixelResult<TWidth>>(
            patches, new MatrixSource<FourWide> { Matrix = turned.Values, Rows = s.C, Columns = product.Depth }, pixels, product);
    }

    /// <summary>What of dy reaches a class of pixels.</summary>
    private PatchSource<TWidth> Patches<TWidth>(in Conv2DShape s, in Conv2DGradientWindow window, GemmShape product,
        Operand gradient)
        where TWidth : struct, IAccessWidth
        => new()
        {
            Image = gradient.Values,
            Window = new PatchWindow
            {
                ImageH = s.OutH,
                ImageW = s.OutW,
                Channels = Divisor.Of(s.K),
                TapsW = Divisor.Of(Math.Max(1, window.TapsW)),
                Columns = product.Depth,
                Rows = product.Lines,
                PositionsH = Divisor.Of(window.PixelsH),
                PositionsW = Divisor.Of(window.PixelsW),
                Stride = window.WindowStep,
                OriginH = window.OriginH,
                OriginW = window.OriginW,
                Step = -1,
            }.Stepping(StageDepth),
        };

    private static PixelResult<TWidth> Pixels<TWidth>(in Conv2DShape s, in Conv2DGradientWindow window, GemmShape product,
        in Conv2DInputTarget dx, Tensor dy)
        where TWidth : struct, IAccessWidth
        => new()
        {
            Lines = product.Lines,
            H = window.H,
            W = window.W,
            PixelsH = Divisor.Of(window.PixelsH),
            PixelsW = Divisor.Of(window.PixelsW),
            FirstH = window.FirstH,
            FirstW = window.FirstW,
            Step = window.Step,
            First = Channels(dx.Input.FirstChannels, dx.First, dy),
            Second = Channels(s.C - dx.Input.FirstChannels, dx.Second, dy),
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

    private void SumTaps(Tensor filter, in Conv2DShape s, ArrayView<float> summed)
        => _launcher.ForEach((long)s.K * (s.R + 1) * (s.S + 1) * s.C, new SummedFilterKernel(View(filter), s.R, s.S, s.C, summed));

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

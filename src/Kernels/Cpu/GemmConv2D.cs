namespace Diffusion.Gpu.Kernels;

/// <summary>The passes of a convolution as implicit matrix products over raw memory.</summary>
internal static unsafe class GemmConv2D
{
    /// <summary>y = epilogue(x ⋆ filter).</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="x">[N, H, W, C], however it lies.</param>
    /// <param name="filter">Packed by <see cref="PackedFilter.PackForward"/>.</param>
    /// <param name="epilogue">Applied to each sum.</param>
    /// <param name="y">The first value written; K of every <paramref name="channels"/> floats are written.</param>
    /// <param name="channels">Floats from one output pixel to the next: K, or more to write into a slice.</param>
    public static void Forward(in Conv2DShape s, in GemmImages x, PackedFilter filter, in GemmEpilogue epilogue, float* y, nint channels)
    {
        var window = Window(s, x);
        Gemm.Run(window, x, filter.Phases[0], GemmTarget.All(y, window, channels, accumulate: false), epilogue);
    }

    /// <summary>dx (+)= the gradient of the input.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="dy">[N, OutH, OutW, K].</param>
    /// <param name="filter">Packed by <see cref="PackedFilter.PackBackwardInput(MicroKernel, in Conv2DShape, float*)"/>.</param>
    /// <param name="dx">[N, H, W, C].</param>
    /// <param name="accumulate">Adds to dx.</param>
    public static void BackwardInput(in Conv2DShape s, float* dy, PackedFilter filter, float* dx, bool accumulate) =>
        Gemm.Run([.. Phases(s, dy, filter.Phases, dx, s.C, accumulate)]);

    /// <summary>dx (+)= the gradient of an input in two tensors.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="dy">[N, OutH, OutW, K].</param>
    /// <param name="filter">Packed for both.</param>
    /// <param name="firstChannels">Channels of the first tensor.</param>
    /// <param name="first">Gradient of the first tensor [N, H, W, firstChannels], or null where it is not wanted.</param>
    /// <param name="addFirst">Adds to it.</param>
    /// <param name="second">Gradient of the second tensor [N, H, W, C − firstChannels], or null where it is not wanted.</param>
    /// <param name="addSecond">Adds to it.</param>
    public static void BackwardTwoInputs(in Conv2DShape s, float* dy, PackedFilter filter, int firstChannels, float* first, bool addFirst,
        float* second, bool addSecond)
    {
        var phases = filter.Phases;
        int half = phases.Length / 2;
        Gemm[] ofFirst = first is null ? [] : Phases(s, dy, phases[..half], first, firstChannels, addFirst);
        Gemm[] ofSecond = second is null ? [] : Phases(s, dy, phases[half..], second, s.C - firstChannels, addSecond);
        Gemm.Run([.. ofFirst, .. ofSecond]);
    }

    /// <summary>dx (+)= the gradient of an input [N, H/2, W/2, C] whose every pixel stands for 2×2.</summary>
    /// <param name="s">Sizes, of the larger image.</param>
    /// <param name="dy">[N, OutH, OutW, K].</param>
    /// <param name="filter">Packed by <see cref="PackedFilter.PackBackwardUpsampled"/>.</param>
    /// <param name="dx">[N, H/2, W/2, C].</param>
    /// <param name="accumulate">Adds to dx.</param>
    public static void BackwardUpsampledInput(in Conv2DShape s, float* dy, PackedFilter filter, float* dx, bool accumulate)
    {
        var g = Conv2DGradientWindow.OfUpsampled(s);
        // The micro-kernels go down the taps' rows, which the first tap meets last.
        var window = new GemmWindow(s.N, s.OutH, s.OutW, s.K, g.H, g.W, g.WindowStep, g.OriginH - s.R, g.OriginW - s.S, g.R, g.S);
        Gemm.Run(window, dy, filter.Phases[0], GemmTarget.All(dx, window, s.C, accumulate));
    }

    private static GemmWindow Window(in Conv2DShape s, in GemmImages x) => x.IsUpsampled ? GemmWindow.OfPixels(s) : GemmWindow.Of(s);

    private static Gemm[] Phases(in Conv2DShape s, float* dy, ReadOnlySpan<PackedMatrix> filters, float* dx, int channels,
        bool accumulate)
    {
        if (s.IsPointwise)
        {
            var rows = GemmWindow.Rows(s.Pixels, s.K);
            return [new Gemm(rows, dy, filters[0], GemmTarget.All(dx, rows, channels, accumulate))];
        }

        var phases = new Gemm[filters.Length];
        for (int phase = 0; phase < phases.Length; phase++)
        {
            int firstY = phase / s.Stride, firstX = phase % s.Stride;
            var y = StridePhase.Of(firstY, s.Stride, s.PadH, s.R);
            var x = StridePhase.Of(firstX, s.Stride, s.PadW, s.S);
            var window = new GemmWindow(s.N, s.OutH, s.OutW, s.K, Count(s.H, firstY, s.Stride), Count(s.W, firstX, s.Stride), 1,
                y.Origin, x.Origin, y.Taps, x.Taps);
            var target = new GemmTarget(dx, s.H, s.W, channels, s.Stride, firstY, firstX, accumulate);
            phases[phase] = new Gemm(window, dy, filters[phase], target);
        }

        return phases;
    }

    /// <summary>dFilter (+)= the gradient of the filter [K, R, S, C].</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="x">[N, H, W, C], however it lies.</param>
    /// <param name="dy">[N, OutH, OutW, K].</param>
    /// <param name="dFilter">[K, R, S, C].</param>
    /// <param name="accumulate">Adds to dFilter.</param>
    public static void BackwardFilter(in Conv2DShape s, in GemmImages x, float* dy, float* dFilter, bool accumulate) =>
        GemmOuter.Run(MicroKernel.Widest, Window(s, x), x, dy, s.K, dFilter, accumulate);

    /// <summary>Coordinates below the length with the given first one and distance.</summary>
    private static int Count(int length, int first, int step) => Math.Max(0, (length - first + step - 1) / step);
}

namespace Diffusion.Gpu.Kernels;

/// <summary>The passes of a convolution as implicit matrix products over raw memory.</summary>
internal static unsafe class GemmConv2D
{
    /// <summary>y = epilogue(x ⋆ filter).</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="filter">Packed by <see cref="PackedFilter.PackForward"/>.</param>
    /// <param name="epilogue">Applied to each sum.</param>
    /// <param name="y">The first value written; K of every <paramref name="channels"/> floats are written.</param>
    /// <param name="channels">Floats from one output pixel to the next: K, or more to write into a slice.</param>
    public static void Forward(in Conv2DShape s, float* x, PackedFilter filter, in GemmEpilogue epilogue, float* y, nint channels)
    {
        var window = GemmWindow.Of(s);
        Gemm.Run(window, x, filter.Phases[0], GemmTarget.All(y, window, channels, accumulate: false), epilogue);
    }

    /// <summary>dx (+)= the gradient of the input.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="dy">[N, OutH, OutW, K].</param>
    /// <param name="filter">Packed by <see cref="PackedFilter.PackBackwardInput"/>.</param>
    /// <param name="dx">[N, H, W, C].</param>
    /// <param name="accumulate">Adds to dx.</param>
    public static void BackwardInput(in Conv2DShape s, float* dy, PackedFilter filter, float* dx, bool accumulate)
    {
        if (s.IsPointwise)
        {
            var rows = GemmWindow.Rows(s.Pixels, s.K);
            Gemm.Run(rows, dy, filter.Phases[0], GemmTarget.All(dx, rows, s.C, accumulate));
            return;
        }

        var phases = new Gemm[filter.Phases.Length];
        for (int phase = 0; phase < phases.Length; phase++)
        {
            int firstY = phase / s.Stride, firstX = phase % s.Stride;
            var y = StridePhase.Of(firstY, s.Stride, s.PadH, s.R);
            var x = StridePhase.Of(firstX, s.Stride, s.PadW, s.S);
            var window = new GemmWindow(s.N, s.OutH, s.OutW, s.K, Count(s.H, firstY, s.Stride), Count(s.W, firstX, s.Stride), 1,
                y.Origin, x.Origin, y.Taps, x.Taps);
            var target = new GemmTarget(dx, s.H, s.W, s.C, s.Stride, firstY, firstX, accumulate);
            phases[phase] = new Gemm(window, dy, filter.Phases[phase], target);
        }

        Gemm.Run(phases);
    }

    /// <summary>dFilter (+)= the gradient of the filter [K, R, S, C].</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="dy">[N, OutH, OutW, K].</param>
    /// <param name="dFilter">[K, R, S, C].</param>
    /// <param name="accumulate">Adds to dFilter.</param>
    public static void BackwardFilter(in Conv2DShape s, float* x, float* dy, float* dFilter, bool accumulate) =>
        GemmOuter.Run(MicroKernel.Widest, GemmWindow.Of(s), x, dy, s.K, dFilter, accumulate);

    /// <summary>Coordinates below the length with the given first one and distance.</summary>
    private static int Count(int length, int first, int step) => Math.Max(0, (length - first + step - 1) / step);
}

using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Convolutions in TF32 and BF16 whose output is normalised in the tile: against double precision from inputs that are rounded
/// the same way, and bit for bit against the two kernels that they replace.</summary>
[TestFixtureSource(typeof(TileGemmTests), nameof(TileGemmTests.Gpus))]
public sealed class TileLinesTests(string id, Precision precision)
{
    /// <summary>Relative to four, plus what the terms of the normalised sum could be.</summary>
    private const double Tolerance = 3e-6;

    /// <summary>Tiles of 128 lines are compiled once, for 128 columns: compiling one takes seconds.</summary>
    private static IEnumerable<Case> Cases =>
    [
        new(new(2, 9, 8, 12, 4, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true),
        new(new(3, 5, 5, 5, 12, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: false),
        new(new(2, 7, 5, 8, 36, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true),
        new(new(2, 9, 8, 12, 60, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true),
        new(new(1, 9, 8, 12, 64, 3, 3, 1, 1, 1), HasBias: false, HasScaleShift: false),
        new(new(2, 11, 7, 36, 64, 1, 1, 1, 0, 0), HasBias: true, HasScaleShift: true),
        new(new(2, 9, 8, 28, 64, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true) { First = 8 },
        new(new(2, 9, 8, 12, 64, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true) { Tile = TileSize.Of<Tile128x128>() },
        new(new(2, 9, 8, 12, 100, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true) { Tile = TileSize.Of<Tile128x128>() },
        new(new(1, 13, 11, 8, 128, 3, 3, 1, 1, 1), HasBias: false, HasScaleShift: true) { Tile = TileSize.Of<Tile128x128>() },
        new(new(3, 7, 7, 20, 128, 1, 1, 1, 0, 0), HasBias: true, HasScaleShift: false) { Tile = TileSize.Of<Tile128x128>() },
    ];

    private static IEnumerable<Case> CasesOfTwoKernels =>
    [
        new(new(2, 5, 8, 12, 62, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true),
        new(new(2, 5, 8, 12, 128, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true) { Tile = TileSize.Of<Tile64x64>() },
        new(new(2, 5, 8, 12, 129, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true),
        new(new(2, 5, 8, 12, 132, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true),
        new(new(2, 2, 2, 108, 64, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true), // its sums are split
    ];

    private Device Opened => TestDevices.Open(id, precision);

    private GpuBackend Backend => (GpuBackend)Opened.Backend;

    [TearDown]
    public void Restore() => (Backend.OnlyTile, Backend.Products) = (null, null);

    [TestCaseSource(nameof(Cases))]
    public void Normalised_pixels_match_reference_and_have_the_bits_of_two_kernels(Case c) => Check(c, isOneKernel: true);

    [TestCaseSource(nameof(CasesOfTwoKernels))]
    public void Pixels_that_no_tile_holds_are_normalised_by_a_kernel(Case c) => Check(c, isOneKernel: false);

    /// <summary>Every window of the second image sees zeros alone: the norm is clamped, and the shift is left.</summary>
    [Test]
    public void Pixels_of_zeros_stay_zero()
    {
        var c = new Case(new(2, 9, 8, 12, 64, 3, 3, 1, 1, 1), HasBias: false, HasScaleShift: true);
        var data = new Data(c);
        Array.Clear(data.X, data.X.Length / 2, data.X.Length / 2);
        float[] y = Check(c, isOneKernel: true, data);
        int half = y.Length / 2;
        float[] shift = [.. Enumerable.Range(0, half).Select(i => data.ScaleShift[(3 * c.Shape.K) + (i % c.Shape.K)])];
        Assert.That(y[half..], Is.EqualTo(shift.Select(v => v / (1 + MathF.Exp(-v)))).Within(1e-6));
    }

    /// <summary>Also where fewer channels than the tile has columns leave it columns that are infinity times zero.</summary>
    [TestCase(float.NaN)]
    [TestCase(float.PositiveInfinity)]
    public void What_is_not_finite_stays_in_the_pixels_that_see_it(float value)
    {
        var c = new Case(new(1, 9, 8, 12, 36, 3, 3, 1, 1, 1), HasBias: true, HasScaleShift: true);
        var data = new Data(c);
        data.X[((4 * 8) + 3) * 12] = value;
        float[] y = Check(c, isOneKernel: true, data);
        for (int i = 0; i < y.Length; i++)
        {
            int row = i / c.Shape.K / 8, column = i / c.Shape.K % 8;
            bool sees = Math.Abs(row - 4) <= 1 && Math.Abs(column - 3) <= 1;
            Assert.That(float.IsFinite(y[i]), Is.EqualTo(!sees), $"pixel ({row}, {column})");
        }
    }

    private float[] Check(Case c, bool isOneKernel, Data? data = null)
    {
        data ??= new Data(c);
        var s = c.Shape;
        List<string> kinds = [];
        Backend.OnlyTile = c.Tile;
        using Tensor filter = Opened.NewTensor([s.K, s.R, s.S, s.C], data.Filter), gain = Opened.NewTensor([s.K], data.Gain);
        using Tensor? bias = c.HasBias ? Opened.NewTensor([s.K], data.Bias) : null;
        using Tensor? scaleShift = c.HasScaleShift ? Opened.NewTensor([s.N, 2 * s.K], data.ScaleShift) : null;
        using Tensor convolved = Opened.NewTensor([s.N, s.H, s.W, s.K]), y = Opened.NewTensor(convolved.Shape);
        using Tensor alone = Opened.NewTensor(convolved.Shape), convolvedApart = Opened.NewTensor(convolved.Shape);
        using Tensor apart = Opened.NewTensor(convolved.Shape);
        using Tensor first = Opened.NewTensor([s.N, s.H, s.W, c.First], data.Channels(0, c.First));
        using Tensor? second = c.First == s.C ? null
            : Opened.NewTensor([s.N, s.H, s.W, s.C - c.First], data.Channels(c.First, s.C));
        Conv2DInput x = second is null ? first : Conv2DInput.Concat(first, second);
        Backend.Products = launch => kinds.Add(launch.Product.Kind);
        Backend.Conv2DRmsNormSilu(s, x, filter, bias, gain, scaleShift, convolved, y);
        Backend.Conv2DRmsNormSilu(s, x, filter, bias, gain, scaleShift, null, alone);
        Assert.That(kinds.Select(kind => kind.Contains(nameof(RmsNormResult))), Is.EqualTo(new[] { isOneKernel, isOneKernel }));

        Backend.Conv2DForward(s, x, filter, new Epilogue(bias, null, Activation.None), ChannelSlice.Whole(convolvedApart));
        Backend.RmsNormForward(new RowShape(s.N, s.H * s.W, s.K), convolvedApart, gain, scaleShift, silu: true, apart);
        float[] result = y.ToArray();
        Assert.That(convolved.ToArray(), Is.EqualTo(convolvedApart.ToArray()));
        Assert.That(result, Is.EqualTo(apart.ToArray()));
        Assert.That(alone.ToArray(), Is.EqualTo(result));
        OpChecks.AssertNoStrayWrites(Opened);
        Assert.That(data.Deviation(Rounding.Of(precision), result), Is.LessThan(Tolerance));
        return result;
    }

    /// <summary>One convolution.</summary>
    /// <param name="Shape">At stride 1, keeping the size.</param>
    /// <param name="HasBias">Whether something is added before the norm.</param>
    /// <param name="HasScaleShift">Whether the normalised values are modulated.</param>
    public sealed record Case(Conv2DShape Shape, bool HasBias, bool HasScaleShift)
    {
        internal TileSize? Tile { get; init; }

        /// <summary>Channels of the first tensor, or of the only one.</summary>
        internal int First { get; init; } = Shape.C;

        public override string ToString() => $"{Shape.R}x{Shape.S}, {Shape.N}x{Shape.H}x{Shape.W}, {Shape.C} to {Shape.K} channels"
            + (First < Shape.C ? $", {First} of them in another tensor" : "")
            + (HasBias ? ", bias" : "") + (HasScaleShift ? ", scale-shift" : "")
            + (Tile is { } tile ? $", tile {1 << tile.LineShift}x{1 << tile.ColumnShift}" : "");
    }

    private sealed class Data(Case c)
    {
        /// <summary>All channels.</summary>
        public float[] X { get; } = TileGemmTests.Numbers(c.Shape.N * c.Shape.H * c.Shape.W * c.Shape.C, 1);

        public float[] Filter { get; } = TileGemmTests.Numbers(c.Shape.K * c.Shape.Depth, 2);

        public float[] Bias { get; } = TileGemmTests.Numbers(c.Shape.K, 3);

        public float[] Gain { get; } = TileGemmTests.Numbers(c.Shape.K, 4);

        public float[] ScaleShift { get; } = TileGemmTests.Numbers(c.Shape.N * 2 * c.Shape.K, 5);

        public float[] Channels(int from, int to)
            => [.. X.Where((_, i) => i % c.Shape.C is var channel && channel >= from && channel < to)];

        /// <summary>The largest deviation; that of values that are not finite on either side is 0.</summary>
        public double Deviation(Rounding rounding, float[] y)
        {
            var s = c.Shape;
            var sums = new ConvolutionReference(s, rounding, X, Filter, new float[y.Length]).Output;
            double worst = 0;
            for (int pixel = 0; pixel < s.Pixels; pixel++)
            {
                int sample = pixel / (s.H * s.W), at = pixel * s.K;
                double[] convolved = [.. Enumerable.Range(0, s.K).Select(k => sums.Values[at + k] + (c.HasBias ? Bias[k] : 0))];
                double factor = Math.Sqrt(s.K) / Math.Max(Math.Sqrt(convolved.Sum(value => value * value)), 1e-12);
                for (int k = 0; k < s.K; k++)
                {
                    double scale = Gain[k] * (c.HasScaleShift ? ScaleShift[(2 * sample * s.K) + k] + 1.0 : 1);
                    double v = (convolved[k] * factor * scale) + (c.HasScaleShift ? ScaleShift[(((2 * sample) + 1) * s.K) + k] : 0);
                    double expected = v / (1 + Math.Exp(-v));
                    if (!double.IsFinite(expected) && !float.IsFinite(y[at + k]))
                        continue;
                    double possible = sums.Magnitudes[at + k] * Math.Min(factor, 1e6) * Math.Abs(scale);
                    double deviation = Math.Abs(y[at + k] - expected) / (4 + possible);
                    worst = double.IsNaN(deviation) ? double.PositiveInfinity : Math.Max(worst, deviation);
                }
            }
            return worst;
        }
    }
}

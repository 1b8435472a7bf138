using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Convolution and matrix product in TF32 and BF16, by tensor cores where the device has them,
/// else by tiles that emulate them.</summary>
/// <remarks>Inputs are not rounded beforehand: the reference rounds them by itself, so the rounding is part of what is tested.</remarks>
[TestFixtureSource(nameof(Gpus))]
public sealed class TileGemmTests(string id, Precision precision)
{
    /// <summary>Relative to the sum of the terms' magnitudes. A tensor core may cut its 32-bit sums off instead of rounding them.</summary>
    private const double Tolerance = 3e-6;

    private static readonly (string What, uint Value, uint Expected)[] Tf32Roundings =
    [
        ("cuts the low bits off", 0x3F801FFF, 0x3F800000),
        ("cuts the low bits off below zero", 0xBF803FFF, 0xBF802000),
        ("keeps infinity", 0x7F800000, 0x7F800000),
    ];

    private static readonly (string What, uint Value, uint Expected)[] Bf16Roundings =
    [
        ("half a unit to even, downwards", 0x3F808000, 0x3F800000),
        ("half a unit to even, upwards", 0xBF818000, 0xBF820000),
        ("more than half a unit up", 0x3F808001, 0x3F810000),
        ("carries into the exponent", 0x3FFFFFFF, 0x40000000),
        ("the largest float to infinity", 0x7F7FFFFF, 0x7F800000),
        ("keeps infinity", 0x7F800000, 0x7F800000),
    ];

    /// <summary>Emulation needs more shared memory than an NVIDIA GPU without tensor cores for TF32 has.</summary>
    internal static IEnumerable<object[]> Gpus =>
        from id in TestDevices.Fast
        where Device.List().Any(d => d.Id == id
            && (d.Kind == DeviceKind.OpenCL || (d.Kind == DeviceKind.Cuda && d.Precisions.Contains(Precision.Tf32))))
        from precision in new[] { Precision.Tf32, Precision.Bf16 }
        select new object[] { id, precision };

    private Device Opened => TestDevices.Open(id, precision);

    private GpuBackend Backend => (GpuBackend)Opened.Backend;

    [TearDown]
    public void LetTilesBeChosen() => Backend.OnlyTile = null;

    [TestCaseSource(nameof(Shapes))]
    public void Convolution_and_gradients_match_reference(Conv2DShape s)
    {
        var data = new ConvolutionData(Opened, s);
        data.AssertMatches(Tolerance);
    }

    [TestCaseSource(nameof(ShapesOfLargeTiles))]
    public void Large_tiles_match_reference_and_give_the_bits_of_small_ones(Conv2DShape s)
    {
        var data = new ConvolutionData(Opened, s);
        float[][] small = data.AssertMatches(Tolerance);
        // The other one is tested with matrix products, for compiling a tile takes long.
        Backend.OnlyTile = TileSize.Of<Tile128x128>();
        Assert.That(data.AssertMatches(Tolerance), Is.EqualTo(small));
    }

    [TestCaseSource(nameof(Products))]
    public void Matrix_products_match_reference(int batch, int m, int n, int k, bool transposeA, bool transposeB)
    {
        var s = new MatMulShape(batch, m, n, k, transposeA, transposeB);
        float[] a = Numbers(s.Batch * s.M * s.K, 1), b = Numbers(s.Batch * s.K * s.N, 2);
        using Tensor left = Opened.NewTensor([a.Length], a), right = Opened.NewTensor([b.Length], b);
        // Results that are not four wide have one tile: what differs is stored after the products.
        foreach (var tile in s.N % 4 == 0 ? new[] { TileSize.Of<Tile64x64>(), TileSize.Of<Tile128x64>() } : [TileSize.Of<Tile64x64>()])
        {
            using var c = Opened.NewTensor([s.Batch * s.M * s.N], new float[s.Batch * s.M * s.N]);
            Backend.OnlyTile = tile;
            Backend.MatMul(s, left, right, new GradientTarget(c, false));
            Backend.MatMul(s, left, right, new GradientTarget(c, true));
            AssertProduct(precision, s, a, b, c.ToArray());
        }
        OpChecks.AssertNoStrayWrites(Opened);
    }

    /// <summary>35 channels are copied with padding in either precision, and the turned filter always.</summary>
    [Test]
    public void Kept_copies_of_weights_follow_their_values()
    {
        var s = new Conv2DShape(1, 5, 6, 35, 7, 3, 3, 1, 1, 1);
        float[] first = Numbers(s.K * s.Depth, 1), second = Numbers(s.K * s.Depth, 2);
        using Tensor x = Opened.NewTensor([s.N, s.H, s.W, s.C], Numbers(s.Pixels * s.C, 3));
        using Tensor dy = Opened.NewTensor([s.N, s.OutH, s.OutW, s.K], Numbers(s.Pixels * s.K, 4));
        using Tensor changed = Opened.NewTensor([s.K, s.R, s.S, s.C], first), fresh = Opened.NewTensor(changed.Shape, second);
        float[][] before = Convolve(s, x, dy, changed);
        changed.CopyFrom(second);
        float[][] after = Convolve(s, x, dy, changed);
        Assert.That(after, Is.EqualTo(Convolve(s, x, dy, fresh)));
        Assert.That(after, Is.Not.EqualTo(before));
    }

    /// <summary>Kept copies are laid out by the taps that reach each class of pixels.</summary>
    [Test]
    public void Kept_copies_of_weights_follow_the_stride()
    {
        var s = new Conv2DShape(1, 8, 8, 12, 8, 3, 3, 1, 1, 1);
        var strided = s with { Stride = 2 };
        float[] values = Numbers(s.K * s.Depth, 1);
        using Tensor dy = Opened.NewTensor([s.N, s.OutH, s.OutW, s.K], Numbers(s.Pixels * s.K, 2));
        using Tensor few = Opened.NewTensor([s.N, strided.OutH, strided.OutW, s.K], Numbers(strided.Pixels * s.K, 3));
        using Tensor x = Opened.NewTensor([s.N, s.H, s.W, s.C], Numbers(s.Pixels * s.C, 4));
        using Tensor filter = Opened.NewTensor([s.K, s.R, s.S, s.C], values), other = Opened.NewTensor(filter.Shape, values);
        float[][] first = Convolve(s, x, dy, filter), second = Convolve(strided, x, few, filter);
        Assert.That(second, Is.EqualTo(Convolve(strided, x, few, other)));
        Assert.That(Convolve(s, x, dy, filter), Is.EqualTo(first));
    }

    [Test]
    public void Values_are_rounded()
    {
        float gain = precision == Precision.Tf32 ? TensorFloat32.Correction : 1;
        foreach (var (what, value, expected) in precision == Precision.Tf32 ? Tf32Roundings : Bf16Roundings)
        {
            Assert.That(Times1(BitConverter.UInt32BitsToSingle(value)), Is.EqualTo(BitConverter.UInt32BitsToSingle(expected) * gain), what);
        }
    }

    /// <summary>GPUs make NaN with all bits set, which rounding by an addition would turn into −0.</summary>
    [TestCase(0x7FFFFFFFu)]
    [TestCase(0xFFFFFFFFu)]
    [TestCase(0x7FC00000u)]
    public void NaN_stays_NaN(uint value) => Assert.That(Times1(BitConverter.UInt32BitsToSingle(value)), Is.NaN);

    /// <summary>Of sums of 288 products of normal values, against the same without any rounding.</summary>
    [Test]
    public void Errors_on_normal_values_are_small_and_cancel()
    {
        // TF32 is as close as rounding to nearest would be.
        (double error, double bias) = precision == Precision.Tf32 ? (3.5e-4, 3e-5) : (2.5e-3, 2e-4);
        var s = new MatMulShape(1, 128, 64, 288, false, true);
        float[] a = Normals(s.M * s.K, 1), b = Normals(s.N * s.K, 2);
        using Tensor left = Opened.NewTensor([a.Length], a), right = Opened.NewTensor([b.Length], b), c = Opened.NewTensor([s.M * s.N]);
        Backend.MatMul(s, left, right, new GradientTarget(c, false));
        float[] computed = c.ToArray();
        double squares = 0, errors = 0, shrinkage = 0, largest = 0;
        for (int i = 0; i < computed.Length; i++)
        {
            double exact = 0;
            for (int k = 0; k < s.K; k++)
                exact += (double)a[(i / s.N * s.K) + k] * b[(i % s.N * s.K) + k];
            double deviation = computed[i] - exact;
            squares += exact * exact;
            errors += deviation * deviation;
            shrinkage += exact * deviation;
            largest = Math.Max(largest, Math.Abs(deviation));
        }
        TestContext.Out.WriteLine($"relative to the root mean square: largest {largest / Math.Sqrt(squares / computed.Length):G3}, "
            + $"root mean square {Math.Sqrt(errors / squares):G3}, gain {shrinkage / squares:G3}");
        Assert.That(Math.Sqrt(errors / squares), Is.LessThan(error));
        Assert.That(shrinkage / squares, Is.Zero.Within(bias));
    }

    private static float[] Normals(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_
            => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }

    private float[][] Convolve(in Conv2DShape s, Tensor x, Tensor dy, Tensor filter)
    {
        using Tensor y = Opened.NewTensor(dy.Shape), dx = Opened.NewTensor(x.Shape);
        Backend.Conv2DForward(s, x, filter, default, ChannelSlice.Whole(y));
        Backend.Conv2DBackwardInput(s, dy, filter, new GradientTarget(dx, false));
        return [y.ToArray(), dx.ToArray()];
    }

    private float Times1(float value)
    {
        using Tensor a = Opened.NewTensor([1], [value]), one = Opened.NewTensor([1], [1]), c = Opened.NewTensor([1]);
        Backend.MatMul(new MatMulShape(1, 1, 1, 1, false, false), a, one, new GradientTarget(c, false));
        return c.ToArray()[0];
    }

    private static IEnumerable<TestCaseData> Shapes => Named(
    [
        // Channels that are no multiple of four, and of the stage's depth, over the filters of the networks.
        .. from filter in new[] { (1, 1), (3, 3), (7, 7), (1, 7), (7, 1) }
           from channels in new[] { (3, 35), (35, 80), (80, 3), (4, 64), (20, 36) }
           from stride in new[] { 1, 2 }
           select new Conv2DShape(1, 9, 8, channels.Item1, channels.Item2, filter.Item1, filter.Item2, stride,
               filter.Item1 / 2, filter.Item2 / 2),
        new(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
        new(2, 7, 5, 16, 65, 3, 3, 1, 1, 1),
        new(1, 13, 5, 64, 64, 1, 1, 1, 0, 0),
        new(3, 1, 1, 20, 12, 3, 3, 1, 1, 1),
        new(2, 6, 8, 12, 16, 2, 2, 2, 0, 0),
        new(1, 10, 11, 8, 4, 3, 3, 3, 1, 1),
        new(2, 9, 9, 8, 12, 5, 5, 2, 2, 2),
        new(1, 3, 4, 32, 24, 1, 1, 1, 1, 1),
        new(1, 23, 3, 12, 132, 4, 4, 2, 1, 1),
        new(1, 8, 8, 16, 16, 3, 3, 2, 0, 0),
        new(2, 3, 3, 20, 4, 3, 3, 1, 0, 0),
        new(1, 5, 7, 1, 2, 3, 1, 2, 1, 0),
    ]);

    private static IEnumerable<TestCaseData> ShapesOfLargeTiles => Named(
    [
        new(2, 13, 5, 36, 132, 3, 3, 1, 1, 1),
        new(1, 11, 12, 132, 68, 1, 1, 1, 0, 0),
        new(1, 17, 16, 8, 64, 3, 3, 2, 1, 1),
        new(1, 6, 22, 80, 4, 1, 7, 1, 0, 3),
        new(1, 1, 1, 4, 4, 1, 1, 1, 0, 0),
    ]);

    internal static IEnumerable<TestCaseData> Named(IEnumerable<Conv2DShape> shapes)
        => shapes.Select(s => new TestCaseData(s).SetArgDisplayNames(
            $"{s.R}x{s.S} at stride {s.Stride}, {s.N}x{s.H}x{s.W}, {s.C} to {s.K} channels"));

    private static IEnumerable<object[]> Products =>
        from size in new[] { (1, 65, 33, 17), (3, 68, 132, 36), (2, 4, 8, 4), (1, 129, 3, 5), (1, 131, 68, 51) }
        from order in new[] { (false, false), (true, true), (true, false), (false, true) }.Take(size.Item3 % 4 == 0 ? 4 : 2)
        select new object[] { size.Item1, size.Item2, size.Item3, size.Item4, order.Item1, order.Item2 };

    /// <summary>Compares a product that was added to itself with the reference.</summary>
    internal static void AssertProduct(Precision precision, MatMulShape s, float[] a, float[] b, float[] twice)
    {
        var rounding = Rounding.Of(precision);
        double[] left = rounding.Round(a), right = rounding.Round(b);
        for (int i = 0; i < twice.Length; i++)
        {
            int n = i % s.N, m = i / s.N % s.M, batch = i / s.N / s.M;
            double sum = 0, magnitude = 0;
            for (int k = 0; k < s.K; k++)
            {
                double term = rounding.Gain * left[(batch * s.M * s.K) + (s.TransposeA ? (k * s.M) + m : (m * s.K) + k)]
                    * right[(batch * s.K * s.N) + (s.TransposeB ? (n * s.K) + k : (k * s.N) + n)];
                sum += term;
                magnitude += Math.Abs(term);
            }
            Assert.That(twice[i], Is.EqualTo(2 * sum).Within(2 * Tolerance * magnitude), $"[{batch}, {m}, {n}]");
        }
    }

    internal static float[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];
    }
}

using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Sums that are split into parts, on tensor cores where the device has them, else by tiles that emulate them.</summary>
[TestFixtureSource(typeof(TileGemmTests), nameof(TileGemmTests.Gpus))]
public sealed class SplitProductTests(string id, Precision precision)
{
    private const double Tolerance = 3e-6;

    private readonly List<TileLaunch> _launches = [];

    private Device Opened => TestDevices.Open(id, precision);

    private GpuBackend Backend => (GpuBackend)Opened.Backend;

    [SetUp]
    public void NoteProducts()
    {
        _launches.Clear();
        Backend.Products = _launches.Add;
    }

    [TearDown]
    public void LetBackendChoose() => (Backend.Products, Backend.OnlyTile, Backend.OnlyParts) = (null, null, null);

    /// <summary>What is split by choice. Output plain and through an epilogue into a slice, gradients overwritten and added to.</summary>
    [TestCaseSource(nameof(Shapes))]
    public void Split_convolutions_match_reference_with_the_same_bits_each_time(Conv2DShape s, int splitProducts)
    {
        var data = new ConvolutionData(Opened, s);
        long before = Opened.Memory.Live;
        float[][] first = data.AssertMatches(Tolerance);
        Assert.That(_launches.Where(launch => launch.Product.Slices > 1).Select(launch => launch.Product).Distinct().Count(),
            Is.EqualTo(splitProducts), "products that are split");
        // Kept copies of weights go with the weights; what is rented for parts goes before them.
        Assert.That(Opened.Memory.Live, Is.EqualTo(before));
        Backend.OnlyTile = TileSize.Of<Tile128x128>();
        Assert.That(data.Run(), Is.EqualTo(first));
    }

    /// <summary>Parts of one unit, a last part that is shorter, and more parts than there are units.</summary>
    [TestCaseSource(nameof(ForcedParts))]
    public void Any_number_of_parts_matches_reference(Conv2DShape s, int parts)
    {
        Backend.OnlyParts = parts;
        var data = new ConvolutionData(Opened, s);
        data.AssertMatches(Tolerance);
        Assert.That(_launches.Any(launch => launch.Product.Slices > 1), Is.EqualTo(parts > 1 && s.Depth > DepthSplit.Unit));
    }

    [TestCase(5, 7, 1_000, false, false)]
    [TestCase(5, 8, 1_000, true, true)]
    [TestCase(70, 68, 1_984, false, true)]
    [TestCase(66, 3, 2_001, true, false)]
    public void Split_matrix_products_match_reference_with_the_bits_of_every_tile(int m, int n, int k, bool transposeA, bool transposeB)
    {
        var s = new MatMulShape(1, m, n, k, transposeA, transposeB);
        float[] a = TileGemmTests.Numbers(m * k, 1), b = TileGemmTests.Numbers(k * n, 2);
        using Tensor left = Opened.NewTensor([a.Length], a), right = Opened.NewTensor([b.Length], b);
        float[]? first = null;
        foreach (var tile in new[] { TileSize.Of<Tile64x64>(), TileSize.Of<Tile128x64>() })
        {
            Backend.OnlyTile = tile;
            using var c = Opened.NewTensor([m * n]);
            Backend.MatMul(s, left, right, new GradientTarget(c, false));
            Backend.MatMul(s, left, right, new GradientTarget(c, true));
            float[] twice = c.ToArray();
            TileGemmTests.AssertProduct(precision, s, a, b, twice);
            Assert.That(twice, Is.EqualTo(first ??= twice));
        }
        Assert.That(_launches.Select(launch => launch.Split), Is.All.True);
        OpChecks.AssertNoStrayWrites(Opened);
    }

    /// <summary>1 is lost beside 2²⁵, 1.5 after it is not: every other order of these parts gives another sum.</summary>
    [Test]
    public void Parts_are_added_in_their_order()
    {
        var s = new MatMulShape(1, 1, 1, 1_024, false, true);
        int ofPart = DepthSplit.DepthOfPart(s.K, DepthSplit.Parts(s.M, s.N, s.K));
        float[] values = new float[s.K], ones = new float[s.K];
        Array.Fill(ones, 1);
        (values[0], values[ofPart], values[2 * ofPart], values[3 * ofPart]) = (1, 1 << 25, -(1 << 25), 1.5f);
        using Tensor a = Opened.NewTensor([s.K], values), b = Opened.NewTensor([s.K], ones), c = Opened.NewTensor([1]);
        Backend.MatMul(s, a, b, new GradientTarget(c, false));
        Assert.That(_launches.Single().Product.Slices, Is.GreaterThanOrEqualTo(4));
        Assert.That(c.ToArray()[0], Is.EqualTo(1.5f * (precision == Precision.Tf32 ? TensorFloat32.Correction : 1)));
    }

    /// <summary>Sums have the parts of a batch of 16 although a product of so many lines by itself would stay whole.</summary>
    [Test]
    public void A_sample_has_the_same_bits_alone_and_in_a_batch()
    {
        var s = new Conv2DShape(64, 2, 2, 104, 104, 3, 3, 1, 1, 1);
        Assert.That(DepthSplit.Parts(s.Pixels, s.K, s.Depth), Is.EqualTo(1));
        float[] x = TileGemmTests.Numbers(s.N * s.H * s.W * s.C, 1);
        using var filter = Opened.NewTensor([s.K, s.R, s.S, s.C], TileGemmTests.Numbers(s.K * s.Depth, 2));
        foreach (var pass in new Action<Conv2DShape, Tensor, Tensor>[]
        {
            (shape, from, to) => Backend.Conv2DForward(shape, from, filter, default, ChannelSlice.Whole(to)),
            (shape, from, to) => Backend.Conv2DBackwardInput(shape, from, filter, new GradientTarget(to, false)),
        })
        {
            float[] batch = Run(s, x), alone = Run(s with { N = 1 }, x[..(x.Length / s.N)]);
            Assert.That(alone, Is.EqualTo(batch[..alone.Length]));

            float[] Run(Conv2DShape shape, float[] values)
            {
                using Tensor from = Opened.NewTensor([shape.N, s.H, s.W, s.C], values), to = Opened.NewTensor(from.Shape);
                pass(shape, from, to);
                return to.ToArray();
            }
        }
        Assert.That(_launches.Select(launch => launch.Split), Is.All.True);
    }

    private static IEnumerable<TestCaseData> Shapes
    {
        get
        {
            yield return Case("both directions, depth 936 and 1008", new(2, 2, 3, 104, 112, 3, 3, 1, 1, 1), 2);
            yield return Case("forward, one wide", new(1, 1, 2, 1_030, 5, 1, 1, 1, 0, 0), 1);
            yield return Case("input gradient, one wide", new(1, 1, 2, 6, 1_027, 1, 1, 1, 0, 0), 1);
            yield return Case("stride 2", new(1, 3, 3, 120, 120, 5, 5, 2, 2, 2), 2);
            yield return Case("pixels", new(5, 20, 21, 12, 20, 1, 1, 1, 0, 0), 1);
            yield return Case("pixels, channels padded", new(3, 24, 23, 3, 5, 3, 3, 1, 1, 1), 1);
            yield return Case("pixels at stride 2", new(4, 31, 33, 4, 7, 3, 3, 2, 1, 1), 1);

            static TestCaseData Case(string name, Conv2DShape s, int splitProducts)
                => new TestCaseData(s, splitProducts).SetArgDisplayNames(name);
        }
    }

    private static IEnumerable<TestCaseData> ForcedParts =>
        from s in new Conv2DShape[]
        {
            new(1, 9, 8, 35, 80, 3, 3, 1, 1, 1),
            new(2, 7, 5, 16, 65, 3, 3, 2, 1, 1),
            new(1, 8, 8, 128, 64, 1, 1, 1, 0, 0),
            new(1, 3, 4, 3, 24, 1, 1, 1, 1, 1),
        }
        from parts in new[] { 1, 2, 3, 100 }
        select new TestCaseData(s, parts).SetArgDisplayNames($"{s.R}x{s.S} at stride {s.Stride}, {s.C} to {s.K} channels, {parts} parts");
}

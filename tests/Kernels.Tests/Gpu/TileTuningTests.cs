using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Tiles are timed on the device at hand, kept, and used; results stay the same bits.</summary>
[TestFixtureSource(nameof(Gpus))]
public sealed class TileTuningTests(string id)
{
    private const int M = 132, N = 68, K = 36;

    private ScratchFolder _scratch = null!;

    /// <summary>Emulation needs more shared memory than an NVIDIA GPU without tensor cores for TF32 has.</summary>
    private static IEnumerable<string> Gpus => TestDevices.Fast.Where(id => Device.List().Any(d => d.Id == id
        && (d.Kind == DeviceKind.OpenCL || (d.Kind == DeviceKind.Cuda && d.Precisions.Contains(Precision.Tf32)))));

    private DeviceInfo Info => Device.List().First(d => d.Id == id);

    [SetUp]
    public void MakeFolder() => _scratch = new ScratchFolder();

    [TearDown]
    public void DeleteFolder() => _scratch.Dispose();

    [Test]
    public void A_measured_tile_is_kept_and_used_and_gives_the_same_bits()
    {
        var (counted, product, result) = Multiply(tune: false);
        var (_, _, afterTuning) = Multiply(tune: true);
        string file = Directory.GetFiles(_scratch.File("."), "tiles-*.json").Single();
        string text = File.ReadAllText(file);
        Assert.That(text, Does.Contain("\"lines\":132,\"columns\":68,\"depth\":36,\"slices\":1").And.Contain(Info.Name));
        Assert.That(afterTuning, Is.EqualTo(result));

        foreach (var tile in TileChoice.All)
        {
            var tuning = new TileTuning(_scratch.File("."), Info);
            var measured = tuning.Find(product, TileChoice.All)!.Value;
            File.WriteAllText(file, text.Replace(measured.ToString(), tile.ToString(), StringComparison.Ordinal));
            var (used, _, tuned) = Multiply(tune: false);
            Assert.That(used, Is.EqualTo(tile));
            Assert.That(tuned, Is.EqualTo(result));
            File.WriteAllText(file, text);
        }
        var other = new TileTuning(_scratch.File("."), Info).Find(product, TileChoice.All)!.Value;
        File.WriteAllText(file, text.Replace(other.ToString(), TileChoice.Warpgroups[0].ToString(), StringComparison.Ordinal));
        Assert.That(new TileTuning(_scratch.File("."), Info).Find(product, TileChoice.Warpgroups), Is.EqualTo(TileChoice.Warpgroups[0]));
        Assert.That(Multiply(tune: false).Tile, Is.EqualTo(counted), "the device has no instructions of warpgroups");
        File.WriteAllText(file, text[..(text.Length / 2)]);
        Assert.That(Multiply(tune: false).Tile, Is.EqualTo(counted), "a damaged file is no measurement");
    }

    /// <summary>Its sums run over 1,050 pixels, in parts that no tile changes.</summary>
    [Test]
    public void A_filter_gradient_is_tuned_and_keeps_its_bits()
    {
        var s = new Conv2DShape(1, 30, 35, 8, 4, 1, 1, 1, 0, 0);
        using var device = new Device(Info, Precision.Tf32, device => new GpuBackend(device));
        var backend = (GpuBackend)device.Backend;
        using Tensor x = device.NewTensor([s.N, s.H, s.W, s.C], TileGemmTests.Numbers(s.Pixels * s.C, 1)),
            dy = device.NewTensor([s.N, s.H, s.W, s.K], TileGemmTests.Numbers(s.Pixels * s.K, 2));
        using var dFilter = device.NewTensor([s.K, 1, 1, s.C]);
        TileLaunch last = default;
        backend.Products = launch => last = launch;
        void Run() => backend.Conv2DBackwardFilter(s, x, dy, new GradientTarget(dFilter, false));
        Run();
        float[] counted = dFilter.ToArray();
        device.Tune(Run, _ => { });
        Assert.That(last is { Split: true, Product.Slices: > 1, Pass: "filter gradient" }, last.ToString());
        Assert.That(backend.Tuning.Find(last.Product, TileChoice.All), Is.EqualTo(last.Tile));
        Assert.That(dFilter.ToArray(), Is.EqualTo(counted));
    }

    [Test]
    public void Every_tile_is_timed_and_the_fastest_wins()
    {
        var tuning = new TileTuning(null, Info) { Tuned = (_, _) => { } };
        var tried = new List<TileSize>();
        var fastest = tuning.Find(new TileProduct(Precision.Tf32, "", 1, 2, 3, 4), TileChoice.Warpgroups, tile =>
        {
            tried.Add(tile);
            Thread.Sleep(tile == TileChoice.Warpgroups[^1] ? 0 : 3);
        }, () => { });
        Assert.That(tried.Distinct(), Is.EquivalentTo(TileChoice.Warpgroups));
        Assert.That(fastest, Is.EqualTo(TileChoice.Warpgroups[^1]));
        Assert.That(tuning.Find(new TileProduct(Precision.Tf32, "", 1, 2, 3, 5), TileChoice.Warpgroups), Is.Null, "another product");
        tuning.Tuned = null;
        Assert.That(tuning.Find(new TileProduct(Precision.Tf32, "", 1, 2, 3, 4), TileChoice.All), Is.Null, "no candidate");
    }

    [Test]
    public void Products_that_differ_in_lines_have_one_kind_of_tile()
    {
        var warpgroup = TileChoice.Warpgroups[^1];
        var tuning = new TileTuning(_scratch.File("."), Info) { Tuned = (_, _) => { } };
        var product = new TileProduct(Precision.Bf16, "", 1, 2, 3, 4);
        Assert.That(Tune(product, warpgroup), Is.EqualTo(warpgroup));
        Assert.That(Tune(product with { Lines = 5 }, TileChoice.All[0]).IsWarpgroup, "as with other lines, though slower");
        Assert.That(Tune(product with { Columns = 6 }, TileChoice.All[0]), Is.EqualTo(TileChoice.All[0]));
        tuning.Save();
        var read = new TileTuning(_scratch.File("."), Info);
        Assert.That(read.Find(product with { Lines = 7 }, TileChoice.AllAndWarpgroups), Is.EqualTo(warpgroup), "not measured");
        Assert.That(read.Find(product with { Lines = 7 }, TileChoice.All), Is.Null, "no candidate");
        Assert.That(read.Find(product with { Lines = 7, Columns = 6 }, TileChoice.AllAndWarpgroups), Is.Null, "by count, as the other");

        TileSize Tune(TileProduct what, TileSize fastest) => tuning.Find(what, TileChoice.AllAndWarpgroups,
            tile => Thread.Sleep(tile == fastest ? 0 : 3), () => { })!.Value;
    }

    [Test]
    public void Float32_has_nothing_to_tune()
        => Assert.That(() => TestDevices.Open(id).Tune(() => { }, _ => { }), Throws.TypeOf<DeviceException>()
            .With.Message.Contains("one tile"));

    private (TileSize Tile, TileProduct Product, float[] Result) Multiply(bool tune)
    {
        using var device = new Device(Info, Precision.Tf32,
            device => new GpuBackend(device, tuning: new TileTuning(_scratch.File("."), Info)));
        var backend = (GpuBackend)device.Backend;
        using Tensor a = device.NewTensor([M * K], TileGemmTests.Numbers(M * K, 1)),
            b = device.NewTensor([K * N], TileGemmTests.Numbers(K * N, 2));
        using var c = device.NewTensor([M * N]);
        TileLaunch last = default;
        backend.Products = launch => last = launch;
        void Run() => backend.MatMul(new MatMulShape(1, M, N, K, false, true), a, b, new GradientTarget(c, false));
        if (tune)
        {
            int known = 0;
            device.Tune(Run, count => known = count);
            Assert.That(known, Is.EqualTo(1));
        }
        else
            Run();
        Assert.That(last.OperandBytes, Is.EqualTo(sizeof(float) * ((M * K) + (K * N))));
        return (last.Tile, last.Product, c.ToArray());
    }
}

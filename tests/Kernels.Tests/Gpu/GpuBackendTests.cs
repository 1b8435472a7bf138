using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>What the GPU backend promises beyond correct ops: memory that is counted, sums that repeat,
/// devices that explain themselves.</summary>
[TestFixtureSource(nameof(Gpus))]
public sealed class GpuBackendTests(string id)
{
    private static readonly RowShape Rows = new(3, 700, 33);

    private Device _device = null!;

    private static IEnumerable<string> Gpus => TestDevices.Fast.Where(id => id != "cpu");

    [OneTimeSetUp]
    public void OpenDevice() => _device = Device.Open(id, Precision.Float32);

    [OneTimeTearDown]
    public void CloseDevice() => _device.Dispose();

    [Test]
    public void Workspaces_return_to_the_pool_when_an_op_ends()
    {
        using var data = new NormData(_device, Rows);
        data.Run();
        var before = _device.Memory;
        data.Run();
        Assert.That(_device.Memory, Is.EqualTo(before));
    }

    [Test]
    public void Gradients_have_the_same_bits_when_computed_again()
    {
        using var data = new NormData(_device, Rows);
        data.Run();
        float[][] first = data.Results();
        data.Run();
        Assert.That(data.Results(), Is.EqualTo(first));
    }

    [Test]
    public void A_sample_has_the_same_bits_alone_and_in_a_batch()
    {
        using var batch = new NormData(_device, Rows);
        using var alone = new NormData(_device, Rows with { N = 1 });
        batch.Run();
        alone.Run();
        float[][] inBatch = batch.Results(), byItself = alone.Results();
        Assert.That(byItself[0], Is.EqualTo(inBatch[0][..byItself[0].Length]), "y");
        Assert.That(byItself[1], Is.EqualTo(inBatch[1][..byItself[1].Length]), "dx");
        Assert.That(byItself[2], Is.EqualTo(inBatch[2][..byItself[2].Length]), "dScaleShift");
    }

    [Test]
    public void Embedding_is_accurate_when_times_are_large()
    {
        const int Width = 64;
        float[] times = [.. Enumerable.Range(0, 200).Select(i => 10_000f - (i * 0.37f))];
        using var tape = _device.NewTape(recording: false);
        float[] y = tape.SinusoidalEmbedding(tape.Constant([times.Length], times), Width).ToArray();
        double worst = 0;
        for (int i = 0; i < y.Length; i++)
        {
            int k = i % Width % (Width / 2);
            double angle = times[i / Width] * Math.Exp(-k * Math.Log(10_000) / ((Width / 2) - 1));
            worst = Math.Max(worst, Math.Abs(y[i] - (i % Width < Width / 2 ? Math.Sin(angle) : Math.Cos(angle))));
        }
        Assert.That(worst, Is.LessThan(1e-6));
    }

    [Test]
    public void Tables_leave_room_when_many_sizes_were_resized()
    {
        using var tape = _device.NewTape(recording: false);
        var x = tape.Constant([1, 1, 2, 1], [1, 2]);
        long before = _device.Memory.Live, all = 0;
        for (int width = 1; width <= 600; width++)
        {
            using var scope = tape.Scope();
            float[] y = tape.Resize(x, 1, width).ToArray();
            Assert.That(y[^1], Is.EqualTo(width == 1 ? 1.5f : 2).Within(1e-6));
            all += 4 * width * sizeof(float);
        }
        Assert.That(_device.Memory.Live - before, Is.LessThan(all / 2));
    }

    [Test]
    public void Allocation_refuses_more_values_than_kernels_count()
        => Assert.That(() => _device.NewTensor([96, 32_768, 32_768]), Throws.TypeOf<DeviceException>()
            .With.Message.Contains(id).And.Message.Contains("103,079,215,104 values").And.Message.Contains("smaller batch"));

    /// <summary>RMSNorm with everything that follows it: row reductions, sums over positions and sums over samples.</summary>
    private sealed class NormData : IDisposable
    {
        private readonly Device _device;
        private readonly RowShape _shape;
        private readonly Tensor _x, _gain, _scaleShift, _dy, _y, _dx, _dGain, _dScaleShift;

        public NormData(Device device, RowShape s)
        {
            _device = device;
            _shape = s;
            _x = Numbers([s.N, s.P, s.C], 1);
            _dy = Numbers([s.N, s.P, s.C], 2);
            _scaleShift = Numbers([s.N, 2 * s.C], 3);
            _gain = Numbers([1, s.C], 4);
            (_y, _dx) = (device.NewTensor(_x.Shape), device.NewTensor(_x.Shape));
            (_dGain, _dScaleShift) = (device.NewTensor(_gain.Shape), device.NewTensor(_scaleShift.Shape));
        }

        public void Run()
        {
            _device.Backend.RmsNormForward(_shape, _x, _gain, _scaleShift, true, _y);
            _device.Backend.RmsNormBackward(_shape, _x, _gain, _scaleShift, true, _dy, new(_dx, false), new(_dGain, false),
                new(_dScaleShift, false));
        }

        public float[][] Results() => [_y.ToArray(), _dx.ToArray(), _dScaleShift.ToArray(), _dGain.ToArray()];

        public void Dispose()
        {
            foreach (var tensor in new[] { _x, _gain, _scaleShift, _dy, _y, _dGain, _dScaleShift, _dx })
                tensor.Dispose();
        }

        private Tensor Numbers(Shape shape, uint stream)
        {
            var tensor = _device.NewTensor(shape);
            _device.Backend.FillNormal(new RandomKey(5, stream, 0), tensor);
            return tensor;
        }
    }
}

/// <summary>The list of devices.</summary>
public sealed class DeviceListTests
{
    [TestCase(DeviceKind.Cuda)]
    [TestCase(DeviceKind.OpenCL)]
    public void A_kind_is_listed_with_its_memory_or_with_what_is_missing(DeviceKind kind)
    {
        var entries = Device.List().Where(d => d.Kind == kind).ToList();
        Assert.That(entries, Is.Not.Empty);
        foreach (var entry in entries)
            Assert.That(entry.Problem is null ? entry.MemoryBytes > 0 : entry.Problem.Length > 20, $"{entry}");
    }

    [Test]
    public void Opening_repeats_the_problem_when_a_device_is_listed_as_unusable()
    {
        foreach (var entry in Device.List().Where(d => d.Problem is not null))
            Assert.That(() => Device.Open(entry.Id), Throws.TypeOf<DeviceException>().With.Message.Contains(entry.Problem!));
    }
}

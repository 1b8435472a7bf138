using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A CUDA device from its listing to a training step, on a driver whose GPU is the interpreter: what ILGPU's runtime, the loader
/// of kernels and the launcher do on CUDA alone is run here, and the PTX is what they hand over.</summary>
public sealed class StandInDriverTests
{
    private string _folder = "";

    [OneTimeSetUp]
    public void Install()
    {
        if (StandInDriver.Install() is { } reason)
            Assert.Ignore(reason);
    }

    [SetUp]
    public void Begin()
    {
        StandInDriver.Faults.Clear();
        StandInDriver.Launches.Clear();
        StandInDriver.Modules.Clear();
        StandInDriver.Edit = null;
        _folder = Directory.CreateTempSubdirectory("ptx-").FullName;
    }

    [TearDown]
    public void End() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void Device_is_listed_with_its_precisions_and_chosen_first()
    {
        var info = Device.List()[0];
        Assert.That((info.Id, info.Name, info.Problem), Is.EqualTo(("cuda:0", StandInDriver.Name, (string?)null)));
        Assert.That(info.Precisions, Is.EqualTo(new[] { Precision.Float32, Precision.Tf32, Precision.Bf16 }));
        Assert.That(info.MemoryBytes, Is.EqualTo(StandInDriver.MemoryBytes));
        using (var device = Device.Open(kernelCache: _folder))
        {
            Assert.That((device.Info.Id, device.Precision), Is.EqualTo(("cuda:0", Precision.Tf32)));
            Assert.That(((GpuBackend)device.Backend).MatrixStrategy, Is.EqualTo(MatrixStrategy.TensorCores), "fast on 9.0");
        }
        Assert.That(StandInDriver.Launches.Select(launch => launch.Stream).Distinct().ToList(),
            Has.Count.EqualTo(1).And.Not.Contain((nint)0), "one stream, and not the default one");
        Assert.That(StandInDriver.LiveBytes, Is.Zero);
        Assert.That(StandInDriver.Faults, Is.Empty);
    }

    [Test]
    public void Opened_again_kernels_come_from_the_folder_and_are_the_same_texts()
    {
        KernelLoads first, second;
        using (var device = Device.Open("cuda:0", Precision.Tf32, _folder))
            first = device.Kernels;
        string[] texts = [.. StandInDriver.Modules];
        StandInDriver.Modules.Clear();
        using (var device = Device.Open("cuda:0", Precision.Tf32, _folder))
            second = device.Kernels;
        Assert.Multiple(() =>
        {
            Assert.That((first.Count, first.Kept), Is.EqualTo((texts.Length, 0)));
            Assert.That((second.Count, second.Kept), Is.EqualTo((texts.Length, texts.Length)));
            Assert.That(StandInDriver.Modules, Is.EqualTo(texts));
            Assert.That(StandInDriver.Faults, Is.Empty);
        });
    }

    /// <summary>What no other test of the library can have: a driver that compiles wrongly.</summary>
    [Test]
    public void Driver_that_mixes_fragments_up_is_refused_with_the_way_out([Values(Precision.Tf32, Precision.Bf16)] Precision precision)
    {
        StandInDriver.Edit = text => text.Replace("{right0, right1}", "{right1, right0}", StringComparison.Ordinal);
        Assert.That(() => Device.Open("cuda:0", precision, _folder), Throws.TypeOf<DeviceException>()
            .With.Message.Contains($"tensor cores are wrong in {precision}").And.Message.Contains("use precision float32"));
        Assert.That(StandInDriver.LiveBytes, Is.Zero);
    }

    [Test]
    public void Memory_that_the_driver_does_not_have_is_named()
    {
        using var device = Device.Open("cuda:0", Precision.Float32, _folder);
        Assert.That(() => device.NewTensor([400, 1_000_000]), Throws.TypeOf<DeviceException>().With.Message.Contains("no memory for 1,6")
            .And.Message.Contains($"of {StandInDriver.MemoryBytes:N0}").And.Message.Contains("smaller batch"));
    }

    [Test]
    public void Training_step_of_a_network_is_the_processors()
    {
        using Device gpu = Device.Open("cuda:0", Precision.Tf32, _folder), processor = Device.Open("cpu");
        float[][] results = Step(gpu), expected = Step(processor);
        for (int i = 0; i < expected.Length; i++)
        {
            float largest = expected[i].Max(MathF.Abs);
            Assert.That(results[i].Zip(expected[i], (a, b) => Math.Abs(a - b)).Max(), Is.LessThanOrEqualTo(1e-2 * largest), $"{i}");
        }
        Assert.That(StandInDriver.Faults, Is.Empty);
    }

    /// <summary>Output of a U-Net with attention, and the gradients of some parameters.</summary>
    private static float[][] Step(Device device)
    {
        const int Size = 8;
        using var unet = new Unet(device, new UnetOptions { Dim = 8, DimMults = [1, 2] }, seed: 3);
        using var tape = device.NewTape();
        float[] numbers = [.. Enumerable.Range(0, Size * Size * 3).Select(i => MathF.Sin(i))];
        var y = unet.Forward(tape, tape.Constant([1, Size, Size, 3], numbers), tape.Constant([1], [0.5f]));
        tape.Backward(y, tape.Constant(y.Shape, numbers));
        var trained = unet.Parameters.All.Where(parameter => parameter.HasGradient);
        return [y.ToArray(), .. trained.Select(parameter => parameter.Gradient!.ToArray())];
    }
}

using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Samplers;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class CheckpointTests
{
    private TinyRun _run = null!;
    private Checkpoint _saved = null!;

    private string Folder => _run.Path("run");

    [OneTimeSetUp]
    public void Train()
    {
        _run = new TinyRun();
        _saved = _run.Train("run", TinyRun.Random);
    }

    [OneTimeTearDown]
    public void DeleteRun() => _run.Dispose();

    [Test]
    public void Checkpoint_opens_by_itself_with_averaged_or_trained_weights()
    {
        string alone = _run.Path("alone.safetensors");
        File.Copy(_saved.Path, alone);
        var tensors = TinyRun.Tensors(alone);
        foreach (bool averaged in new[] { true, false })
        {
            using var model = Checkpoint.OpenModel(alone, _run.Device, averaged);
            using var samples = Sampler.For(model.Diffusion).Sample(model.Unet, 2, seed: 7);
            var (slot, parameter) = model.Unet.Layout.Slots.Zip(model.Unet.Parameters.All).First();
            Assert.Multiple(() =>
            {
                Assert.That(model.Checkpoint.Options.Write(), Is.EqualTo(TinyRun.Random.Write()));
                Assert.That(model.Checkpoint.Step, Is.EqualTo(12));
                Assert.That(samples.ToArray(), Has.All.InRange(0f, 1f));
                Assert.That(slot.ToFile(parameter.Value.ToArray()).SelectMany(BitConverter.GetBytes),
                    Is.EqualTo(tensors[(averaged ? "ema." : "model.") + slot.Name]));
            });
        }
    }

    [Test]
    public void Opened_model_takes_the_memory_of_its_weights_alone()
    {
        long before = _run.Device.Memory.Live;
        using var model = Checkpoint.OpenModel(_saved.Path, _run.Device);
        long opened = _run.Device.Memory.Live - before;
        using var fresh = new Unet(_run.Device, TinyRun.Random.Unet, seed: 1);
        Assert.That(opened, Is.EqualTo(_run.Device.Memory.Live - before - opened));
    }

    [Test]
    public void Names_are_PyTorchs_and_counters_lie_in_the_metadata()
    {
        using var file = SafetensorsReader.Open(_saved.Path);
        Assert.Multiple(() =>
        {
            Assert.That(file.Entry("model.init_conv.weight").Shape, Is.EqualTo(new[] { 8, 2, 7, 7 }));
            Assert.That(file.Entry("ema.downs.0.0.block1.norm.g").Shape, Is.EqualTo(new[] { 1, 8, 1, 1 }));
            Assert.That(file.Entry("opt.exp_avg.downs.0.3.1.weight").Shape, Is.EqualTo(new[] { 8, 32, 1, 1 }));
            Assert.That(file.Contains("opt.exp_avg_sq.final_conv.bias"));
            Assert.That(new[] { "format_version", "step", "adam_steps", "ema_updates", "random_draws" }.Select(key => file.Metadata[key]),
                Is.EqualTo(new[] { "1", "12", "12", "12", "24" }));
        });
    }

    [Test]
    public void Latest_is_the_newest_that_is_complete()
    {
        string folder = CopyRun("cut");
        Truncate(Path.Combine(folder, "model-latest.safetensors"));
        Assert.That(Checkpoint.Latest(folder)!.Step, Is.EqualTo(10));
        Truncate(Path.Combine(folder, "model-2.safetensors"));
        Assert.That(Checkpoint.Latest(folder)!.Step, Is.EqualTo(5));
        Truncate(Path.Combine(folder, "model-1.safetensors"));
        Assert.Multiple(() =>
        {
            Assert.That(() => Checkpoint.Latest(folder), Throws.TypeOf<WeightsException>().With.Message.Contains("cut short"));
            Assert.That(Checkpoint.Latest(_run.Path("nowhere")), Is.Null);
        });
    }

    [Test]
    public void Truncated_checkpoint_is_refused()
    {
        string file = Path.Combine(CopyRun("truncated"), "model-1.safetensors");
        Truncate(file);
        Assert.That(() => Checkpoint.OpenModel(file, _run.Device), Throws.TypeOf<WeightsException>()
            .With.Message.Contains(file).And.Message.Contains("cut short"));
    }

    [Test]
    public void Weights_of_another_program_are_refused()
    {
        string file = _run.Path("foreign.safetensors");
        SafetensorsWriter.Write(file, new Dictionary<string, string>(), [TensorSource.Singles("weight", [1], new float[1])]);
        Assert.That(() => Checkpoint.OpenModel(file, _run.Device), Throws.TypeOf<WeightsException>()
            .With.Message.Contains("names no training run").And.Message.Contains("converted"));
    }

    [Test]
    public void Checkpoint_of_a_later_format_is_refused()
        => Assert.That(() => Checkpoint.Read(Rewrite("later", metadata => metadata["format_version"] = "2", [])),
            Throws.TypeOf<WeightsException>().With.Message.Contains("format 2").And.Message.Contains("format 1"));

    [Test]
    public void Checkpoint_with_damaged_metadata_is_refused()
        => Assert.That(() => Checkpoint.Read(Rewrite("damaged", metadata => metadata["options"] = "{\"dim\": 0}", [])),
            Throws.TypeOf<WeightsException>().With.Message.Contains("dim"));

    [Test]
    public void Everything_wrong_with_the_tensors_is_listed_at_once()
    {
        // One tensor is missing, one left over, one of another shape.
        string file = Rewrite("misshapen", _ => { }, ["ema.final_conv.bias", "ema.init_conv.bias"],
            TensorSource.Singles("ema.stranger", [2], new float[2]), TensorSource.Singles("ema.init_conv.bias", [3], new float[3]));
        long live = _run.Device.Memory.Live;
        Assert.Multiple(() =>
        {
            Assert.That(() => Checkpoint.OpenModel(file, _run.Device), Throws.TypeOf<WeightsException>().With.Message.Contains(file)
                .And.Message.Contains("final_conv.bias").And.Message.Contains("stranger")
                .And.Message.Contains("init_conv.bias [3] instead of [8]"));
            Assert.That(_run.Device.Memory.Live, Is.EqualTo(live));
        });
    }

    [Test]
    public void Faults_of_weights_and_moments_are_listed_at_once_when_a_run_is_resumed()
    {
        string folder = Directory.CreateDirectory(_run.Path("faulty")).FullName;
        File.Move(Rewrite("faulty-file", _ => { }, ["model.final_conv.bias", "opt.exp_avg_sq.init_conv.bias"]),
            Path.Combine(folder, "model-1.safetensors"));
        Assert.That(() => _run.Resume("faulty"), Throws.TypeOf<WeightsException>()
            .With.Message.Contains("final_conv.bias").And.Message.Contains("init_conv.bias"));
    }

    private string CopyRun(string name)
    {
        string folder = Directory.CreateDirectory(_run.Path(name)).FullName;
        foreach (string file in Directory.EnumerateFiles(Folder))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return folder;
    }

    private static void Truncate(string file)
    {
        using var stream = File.OpenWrite(file);
        stream.SetLength(stream.Length - 1);
    }

    /// <summary>Writes the checkpoint anew with other metadata, without some tensors and with others.</summary>
    private string Rewrite(string name, Action<Dictionary<string, string>> change, string[] without, params TensorSource[] with)
    {
        string path = _run.Path(name + ".safetensors");
        using var file = SafetensorsReader.Open(_saved.Path);
        var metadata = file.Metadata.ToDictionary();
        change(metadata);
        SafetensorsWriter.Write(path, metadata, file.Entries.Where(entry => !without.Contains(entry.Name))
            .Select(entry => TensorSource.Bytes(entry.Name, entry.Type, [.. entry.Shape], file.ReadBytes(entry.Name)))
            .Concat(with));
        return path;
    }
}

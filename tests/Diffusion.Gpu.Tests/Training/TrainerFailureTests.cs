using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class TrainerFailureTests
{
    private TinyRun _run = null!;

    [SetUp]
    public void MakeRun() => _run = new TinyRun();

    [TearDown]
    public void DeleteRun() => _run.Dispose();

    [Test]
    public void Non_finite_loss_stops_the_run_and_keeps_the_last_good_checkpoint()
    {
        using var trainer = _run.Start("run", TinyRun.Plain);
        var weight = trainer.State.Online.Parameters.All[0];
        var poison = new Watcher(progress =>
        {
            if (progress is { Phase: TrainingPhase.Training, Step: 7 })
                weight.Value.CopyFrom(Enumerable.Repeat(float.NaN, (int)weight.Shape.Count).ToArray());
        });
        var error = Assert.Throws<DivergedException>(() => trainer.RunAsync(poison).GetAwaiter().GetResult());
        Assert.Multiple(() =>
        {
            Assert.That(error!.Step, Is.EqualTo(8));
            Assert.That(error.Message, Does.Contain("step 8").And.Contain("NaN").And.Contain("model-1.safetensors"));
            Assert.That(trainer.State.Adam.Steps, Is.EqualTo(7));
            Assert.That(trainer.State.Adam.FirstMoment.ToArray(), Has.None.NaN);
            Assert.That(_run.Losses("run"), Has.Length.EqualTo(7));
            Assert.That(Checkpoint.Latest(_run.Path("run"))!.Step, Is.EqualTo(5));
        });
    }

    [Test]
    public void Huge_learning_rate_is_caught_at_the_step_that_overflows()
    {
        using var trainer = _run.Start("run", TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { TrainLr = 1e30 } });
        var error = Assert.Throws<DivergedException>(() => trainer.RunAsync().GetAwaiter().GetResult());
        Assert.That(error!.Message, Does.Contain("step 2").And.Contain("no checkpoint exists yet").And.Contain("train-lr"));
    }

    [Test]
    public void Failed_save_stops_the_run_and_keeps_the_last_good_checkpoint()
    {
        using var trainer = _run.Start("run", TinyRun.Plain);
        string obstacle = _run.Path("run/model-2.safetensors.partial");
        var error = Assert.Throws<IOException>(() => trainer.RunAsync(new Watcher(progress =>
        {
            // A folder where the file is to be written stands for a disk that takes no more.
            if (progress.Step == 6)
                Directory.CreateDirectory(obstacle);
        })).GetAwaiter().GetResult());
        Assert.Multiple(() =>
        {
            Assert.That(error!.Message, Does.Contain("model-2.safetensors").And.Contain("stopped after step 10").And.Contain("of step 5"));
            Assert.That(Checkpoint.Latest(_run.Path("run"))!.Step, Is.EqualTo(5));
        });
        Directory.Delete(obstacle);
        Assert.That(_run.GoOn("run").Step, Is.EqualTo(12));
    }

    [Test]
    public void Folder_that_cannot_be_made_is_refused_before_anything_is_trained()
    {
        File.WriteAllText(_run.Path("file"), "");
        Assert.That(() => _run.Start("file/run", TinyRun.Plain), Throws.TypeOf<IOException>()
            .With.Message.Contains("cannot be written").And.Message.Contains("file/run"));
        Assert.That(_run.Device.Memory.Live, Is.Zero);
    }

    [Test]
    public void Disk_without_room_for_a_checkpoint_is_refused()
        => Assert.That(() => new RunFolder(_run.Path("run")).Prepare(long.MaxValue), Throws.TypeOf<IOException>()
            .With.Message.Contains("MB left").And.Message.Contains("free disk space"));

    [Test]
    public void Folder_of_another_run_is_refused()
    {
        _run.TrainAndKill("run", TinyRun.Plain, afterStep: 1);
        Assert.That(() => _run.Start("run", TinyRun.Plain), Throws.TypeOf<IOException>().With.Message.Contains("holds a run already"));
    }

    [Test]
    public void Leftovers_of_interrupted_writes_are_cleared_and_not_taken_for_checkpoints()
    {
        _run.Train("run", TinyRun.Plain);
        string leftover = _run.Path("run/model-9.safetensors.partial");
        File.Copy(_run.Path("run/model-1.safetensors"), leftover);
        Assert.That(_run.GoOn("run").Step, Is.EqualTo(12));
        Assert.That(File.Exists(leftover), Is.False);
    }

    [Test]
    public void Folder_without_a_run_cannot_be_resumed()
        => Assert.That(() => _run.Resume("nothing"), Throws.TypeOf<IOException>().With.Message.Contains("holds no run"));

    [Test]
    public void Options_that_were_spoiled_are_refused_by_the_files_name()
    {
        _run.TrainAndKill("run", TinyRun.Plain, afterStep: 1);
        File.WriteAllText(_run.Path("run/options.json"), "{\"dim\": 8,");
        Assert.That(() => _run.Resume("run"), Throws.TypeOf<IOException>()
            .With.Message.Contains("options.json").And.Message.Contains("JSON"));
    }

    [Test]
    public void Resuming_with_another_network_is_refused()
    {
        _run.TrainAndKill("run", TinyRun.Plain, afterStep: 6);
        var wider = TinyRun.Plain with { Unet = TinyRun.Plain.Unet with { Dim = 16 } };
        Assert.That(() => _run.Resume("run", wider), Throws.TypeOf<OptionsException>()
            .With.Property(nameof(OptionsException.Option)).EqualTo("dim")
            .And.Message.Contains("16").And.Message.Contains("8, with which"));
    }

    [Test]
    public void Resuming_with_other_images_is_refused()
    {
        _run.TrainAndKill("run", TinyRun.Plain, afterStep: 6);
        using var scratch = new TrainingScratch();
        using var other = ImageDataset.Open(scratch.DrawImages(9), TinyRun.Plain.ImageTransform);
        Assert.That(() => Trainer.Resume(_run.Path("run"), other, _run.Device), Throws.TypeOf<ImageFormatException>()
            .With.Message.Contains(scratch.Images));
    }

    [Test]
    public void Too_few_images_are_refused_and_leave_no_folder()
    {
        var large = TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { TrainBatchSize = 11 } };
        Assert.That(() => _run.Start("run", large), Throws.TypeOf<ImageFormatException>().With.Message.Contains("takes 11"));
        Assert.That(Directory.Exists(_run.Path("run")), Is.False);
    }

    [Test]
    public void Images_of_another_size_than_the_options_are_refused()
        => Assert.That(() => _run.Start("run", TinyRun.Plain with { Diffusion = TinyRun.Plain.Diffusion with { ImageSize = 16 } }),
            Throws.ArgumentException.With.Message.Contains("16"));
}

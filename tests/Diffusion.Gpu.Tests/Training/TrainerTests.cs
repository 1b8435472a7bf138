using System.Globalization;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class TrainerTests
{
    private TinyRun _run = null!;

    [SetUp]
    public void MakeRun() => _run = new TinyRun();

    [TearDown]
    public void DeleteRun() => _run.Dispose();

    [Test]
    public void Run_writes_options_metrics_grids_and_checkpoints()
    {
        var reports = new List<TrainingProgress>();
        using var trainer = _run.Start("run", TinyRun.Plain);
        var last = trainer.RunAsync(new Watcher(reports.Add)).GetAwaiter().GetResult();
        string[] rows = File.ReadAllLines(_run.Path("run/metrics.csv"));
        // Two 8x8 images per row, two rows, two pixels between and around them.
        var grid = ImageCodec.Default.Decode("grid", File.ReadAllBytes(_run.Path("run/sample-1.png")));
        Assert.Multiple(() =>
        {
            Assert.That(Directory.GetFiles(_run.Path("run")).Select(Path.GetFileName).Order(), Is.EqualTo(new[]
            {
                "metrics.csv", "model-1.safetensors", "model-2.safetensors", "model-latest.safetensors", "options.json", "sample-1.png",
                "sample-2.png", "sample-latest.png",
            }));
            Assert.That(last.Step, Is.EqualTo(12));
            Assert.That(last.Path, Is.EqualTo(_run.Path("run/model-latest.safetensors")));
            Assert.That(RunOptions.Parse(File.ReadAllText(_run.Path("run/options.json"))).Write(), Is.EqualTo(TinyRun.Plain.Write()));
            Assert.That((grid.Width, grid.Height), Is.EqualTo((22, 22)));
            Assert.That(rows[0], Is.EqualTo("step,loss,grad_norm,lr,images_per_s,elapsed_s"));
            Assert.That(rows.Skip(1).Select(row => row.Split(',')[0]), Is.EqualTo(Enumerable.Range(1, 12).Select(step => $"{step}")));
            Assert.That(rows.Skip(1).Select(row => row.Split(',')[3]), Is.All.EqualTo("0.001"));
            Assert.That(reports.Where(r => r.Phase == TrainingPhase.Training).Select(r => r.Step), Is.EqualTo(Enumerable.Range(1, 12)));
            Assert.That(reports.Where(r => r.Phase == TrainingPhase.Saved).Select(r => Path.GetFileName(r.File)),
                Is.EqualTo(new[] { "model-1.safetensors", "model-2.safetensors", "model-latest.safetensors" }));
            Assert.That(reports.Select(r => r.Elapsed), Is.Ordered);
            Assert.That(reports[^1].Remaining, Is.EqualTo(TimeSpan.Zero));
        });
    }

    [Test]
    public void Loss_falls()
    {
        _run.Train("run", TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { TrainNumSteps = 120, SaveAndSampleEvery = 120 } });
        double[] losses = [.. _run.Losses("run").Select(row => double.Parse(row.Split(',')[1], CultureInfo.InvariantCulture))];
        Assert.That(losses[^20..].Average(), Is.LessThan(0.7 * losses[..20].Average()));
    }

    [Test]
    public void Run_that_was_killed_before_its_first_checkpoint_is_resumed_from_the_beginning()
    {
        var whole = _run.Train("whole", TinyRun.Plain);
        _run.TrainAndKill("cut", TinyRun.Plain, afterStep: 3);
        _run.CheckSame("whole", whole, "cut", _run.GoOn("cut"));
    }

    [Test]
    public void Cancelled_run_finishes_its_step_saves_and_is_resumed_with_the_same_bits()
    {
        var whole = _run.Train("whole", TinyRun.Plain);
        using var cancellation = new CancellationTokenSource();
        Checkpoint interrupted;
        using (var trainer = _run.Start("cut", TinyRun.Plain))
        {
            interrupted = trainer.RunAsync(new Watcher(progress =>
            {
                if (progress.Step == 7)
                    cancellation.Cancel();
            }), cancellation.Token).GetAwaiter().GetResult();
        }
        Assert.That(interrupted.Step, Is.EqualTo(7));
        _run.CheckSame("whole", whole, "cut", _run.GoOn("cut"));
    }

    [Test]
    public void Resumed_run_may_go_on_for_longer()
    {
        var longer = TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { TrainNumSteps = 15 } };
        var whole = _run.Train("whole", longer);
        _run.Train("short", TinyRun.Plain);
        var resumed = _run.GoOn("short", longer);
        _run.CheckSame("whole", whole, "short", resumed);
        Assert.That(File.Exists(_run.Path("short/model-latest.safetensors")), Is.False, "older than milestone 3");
    }

    [Test]
    public void Run_that_was_resumed_for_longer_and_killed_still_goes_on_for_longer()
    {
        _run.Train("run", TinyRun.Plain);
        using (_run.Resume("run", TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { TrainNumSteps = 15 } }))
        {
            // Killed before its first step.
        }
        Assert.That(_run.GoOn("run").Step, Is.EqualTo(15));
    }

    [Test]
    public void Resuming_a_finished_run_changes_nothing()
    {
        var finished = _run.Train("run", TinyRun.Plain);
        string[] before = File.ReadAllLines(_run.Path("run/metrics.csv"));
        Assert.Multiple(() =>
        {
            Assert.That(_run.GoOn("run").Path, Is.EqualTo(finished.Path));
            Assert.That(File.ReadAllLines(_run.Path("run/metrics.csv")), Is.EqualTo(before));
        });
    }

    [Test]
    public void Milestones_do_not_touch_the_numbers_of_training()
    {
        _run.Train("rare", TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { SaveAndSampleEvery = 12 } });
        _run.Train("often", TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { SaveAndSampleEvery = 2, NumSamples = 7 } });
        Assert.That(_run.Losses("often"), Is.EqualTo(_run.Losses("rare")));
    }

    [Test]
    public void Other_seed_gives_other_numbers()
    {
        _run.Train("one", TinyRun.Plain);
        _run.Train("two", TinyRun.Plain with { Trainer = TinyRun.Plain.Trainer with { Seed = 12 } });
        Assert.That(_run.Losses("two"), Has.None.AnyOf(_run.Losses("one")));
    }

    [Test]
    public void Hundred_steps_leave_the_live_bytes_unchanged()
    {
        var live = new Dictionary<long, long>();
        var options = TinyRun.Random with { Trainer = TinyRun.Random.Trainer with { TrainNumSteps = 101, SaveAndSampleEvery = 20 } };
        using var trainer = _run.Start("run", options);
        trainer.RunAsync(new Watcher(progress =>
        {
            if (progress.Phase == TrainingPhase.Training)
                live[progress.Step] = _run.Device.Memory.Live;
        })).GetAwaiter().GetResult();
        Assert.Multiple(() =>
        {
            Assert.That(live[101], Is.EqualTo(live[1]));
            Assert.That(_run.Device.Memory.Peak, Is.GreaterThan(live[1]));
        });
    }

    [Test]
    public void Trainer_returns_all_memory()
    {
        _run.Train("run", TinyRun.Random);
        Assert.That(_run.Device.Memory.Live, Is.Zero);
    }
}

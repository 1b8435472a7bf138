using System.Globalization;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Samplers;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>Scores during training: when, of what, and what a run that is cut off keeps.</summary>
internal sealed class EvaluationTests
{
    private const int Samples = 7;

    /// <summary>Scores after steps 5, 10 and 12, in batches of 3, 3 and 1.</summary>
    private static readonly EvaluationPolicy Validation =
        new() { Fid = EvaluationStage.Validation, NumFidSamples = Samples, FidSteps = 2, FidBatch = 3, FidSeed = 9 };

    private static readonly RunOptions Scored = TinyRun.Plain with { Evaluation = Validation };

    private TinyRun _run = null!;
    private List<TrainingProgress> _reports = null!;

    [SetUp]
    public void MakeRun() => (_run, _reports) = (new TinyRun(), []);

    [TearDown]
    public void DeleteRun() => _run.Dispose();

    [Test]
    public void Trained_weights_are_the_same_bits_with_and_without_scores()
    {
        var without = _run.Train("without", TinyRun.Random);
        var with = Train("with", TinyRun.Random with { Evaluation = Validation }, new FakeEvaluation());
        Assert.That(Rows("with"), Has.Length.EqualTo(3));
        _run.CheckSame("without", without, "with", with with { Score = null, Best = null });
    }

    [Test]
    public void Scores_are_in_the_table_the_progress_and_the_checkpoints()
    {
        double[] script = [3, 1, 2];
        int next = 0;
        var last = Train("run", Scored, new FakeEvaluation { Scripted = () => script[next++] });
        var best = Checkpoint.Read(_run.Path("run/model-best.safetensors"));
        Assert.Multiple(() =>
        {
            Assert.That(File.ReadLines(_run.Path("run/evaluation.csv")).First(), Is.EqualTo(
                "step,fid,lower,upper,samples,sampler,steps,seed,recipe,weights,root,sampling_s,features_s,statistics_s,root_s"));
            Assert.That(Rows("run").Select(row => string.Join(',', row.Split(',')[..11])), Is.EqualTo(new[]
            {
                "5,3,2.5,3.5,7,dpm++2m,2,9,plain,none,no root", "10,1,0.5,1.5,7,dpm++2m,2,9,plain,none,no root",
                "12,2,1.5,2.5,7,dpm++2m,2,9,plain,none,no root",
            }));
            Assert.That(_reports.Where(r => r.Score is not null).Select(r => r.Score!.Fid), Is.EqualTo(script));
            Assert.That(Checkpoint.Read(_run.Path("run/model-1.safetensors")).Score!.Fid, Is.EqualTo(3));
            Assert.That((last.Step, last.Score!.Fid, last.Best!.Fid, last.Best.Step), Is.EqualTo((12, 2.0, 1.0, 10)));
            Assert.That((best.Step, best.Score!.Fid), Is.EqualTo((10, 1.0)));
            Assert.That(TinyRun.Tensors(best.Path), Is.EqualTo(TinyRun.Tensors(_run.Path("run/model-2.safetensors"))));
            Assert.That(Directory.GetFiles(_run.Path("run"), "*.features"), Is.Empty, "nothing is kept that is not needed");
        });
    }

    [Test]
    public void Samples_are_those_of_the_seed_from_the_average_rounded_to_8_bits()
    {
        var fake = new FakeEvaluation();
        var last = Train("run", Scored, fake);
        using var model = Checkpoint.OpenModel(last.Path, _run.Device);
        using var drawn = Sampler.Named("dpm++2m", model.Diffusion, 2).Sample(model.Unet, Samples, 9);
        byte[][] wanted = [.. drawn.ToArray().Chunk(64).Select(image => image.SelectMany(Rgb).ToArray())];
        Assert.That(fake.Images.TakeLast(Samples).Select(image => image.Pixels), Is.EqualTo(wanted));

        static byte[] Rgb(float value) => [.. Enumerable.Repeat((byte)Math.Clamp((value * 255f) + 0.5f, 0f, 255f), 3)];
    }

    [Test]
    public void Real_images_are_seen_once_in_the_order_of_the_files()
    {
        var fake = new FakeEvaluation();
        Train("run", Scored, fake);
        string[] files = [.. Enumerable.Range(0, 10).Select(i => $"{i:D4}.png")];
        // Once for the trial, once for the statistics.
        Assert.That(fake.Names.Where(name => name.EndsWith(".png", StringComparison.Ordinal)),
            Is.EqualTo((string[])[.. files[..8], .. files]));
        Assert.That(fake.Checks, Is.EqualTo(1));
    }

    [Test]
    public void Reference_of_other_images_is_discarded_and_said_so()
    {
        Train("run", Scored, new FakeEvaluation());
        var same = new FakeEvaluation();
        Resume("run", Scored with { Trainer = Scored.Trainer with { TrainNumSteps = 13 } }, same);
        Assert.That(same.Names.Count(name => name.EndsWith(".png", StringComparison.Ordinal)), Is.EqualTo(8), "the trial alone");
        Assert.That(_reports.Select(r => r.Phase), Has.None.EqualTo(TrainingPhase.ReferenceDiscarded));

        File.SetLastWriteTimeUtc(Directory.GetFiles(_run.Dataset.Path)[0], new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        var changed = new FakeEvaluation();
        Resume("run", Scored with { Trainer = Scored.Trainer with { TrainNumSteps = 14 } }, changed);
        Assert.That(changed.Names.Count(name => name.EndsWith(".png", StringComparison.Ordinal)), Is.EqualTo(18));
        Assert.That(_reports.Single(r => r.Phase == TrainingPhase.ReferenceDiscarded).File, Does.EndWith("fid-reference.npz"));
    }

    [Test]
    public void Killed_score_goes_on_where_it_was_and_comes_out_the_same()
    {
        var whole = Train("whole", Scored, new FakeEvaluation());
        int batches = 0;
        var killer = new FakeEvaluation
        {
            Extracting = names =>
            {
                bool isSecond = File.Exists(_run.Path("cut/model-2.safetensors"));
                if (isSecond && names[0].StartsWith("sample", StringComparison.Ordinal) && ++batches == 3)
                    throw new TinyRun.KilledException();
            },
        };
        Assert.That(() => Train("cut", Scored, killer), Throws.TypeOf<TinyRun.KilledException>());
        Assert.That(Checkpoint.Latest(_run.Path("cut"))!.Step, Is.EqualTo(10), "the checkpoint lies there before its score");

        var rest = new FakeEvaluation();
        var resumed = Resume("cut", null, rest);
        Assert.Multiple(() =>
        {
            // A trial of 8, the last sample of step 10, all of step 12.
            Assert.That(rest.Names.Where(name => name.StartsWith("sample", StringComparison.Ordinal)).Skip(8),
                Is.EqualTo((string[])["sample 6", .. Enumerable.Range(0, Samples).Select(i => $"sample {i}")]));
            Assert.That(Rows("cut").Select(Scores), Is.EqualTo(Rows("whole").Select(Scores)));
            Assert.That((resumed.Score!.Fid, resumed.Best!.Fid), Is.EqualTo((whole.Score!.Fid, whole.Best!.Fid)));
        });
    }

    [Test]
    public void Cancelled_score_keeps_its_features()
    {
        using var cancellation = new CancellationTokenSource();
        Checkpoint stopped;
        using (var trainer = Trainer.Start(_run.Path("run"), Scored, _run.Dataset, _run.Device, new FakeEvaluation()))
        {
            stopped = trainer.RunAsync(new Watcher(progress =>
            {
                _reports.Add(progress);
                if (progress.Evaluation is { Work: EvaluationWork.Features, Done: 6 })
                    cancellation.Cancel();
            }), cancellation.Token).GetAwaiter().GetResult();
        }
        Assert.That((stopped.Step, stopped.Score), Is.EqualTo((5, (EvaluationRecord?)null)));
        Assert.That(_reports.Last(r => r.Evaluation is not null).Evaluation!.Kept, Is.EqualTo(6));
        var rest = new FakeEvaluation();
        Resume("run", null, rest);
        Assert.That(rest.Names.Where(name => name.StartsWith("sample", StringComparison.Ordinal)).Skip(8).First(), Is.EqualTo("sample 6"));
        Assert.That(Rows("run"), Has.Length.EqualTo(3));
    }

    [TestCase(TrainingPhase.Evaluated)]
    [TestCase(TrainingPhase.SavedBest)]
    public void Run_that_is_killed_around_a_score_loses_neither_score_nor_best(TrainingPhase at)
    {
        double[] script = [3, 1, 2];
        int next = 0;
        var killed = new FakeEvaluation { Scripted = () => script[next++] };
        using (var trainer = Trainer.Start(_run.Path("run"), Scored, _run.Dataset, _run.Device, killed))
        {
            Assert.That(() => trainer.RunAsync(new Watcher(progress =>
            {
                if (progress.Phase == at && progress.Step == 10)
                    throw new TinyRun.KilledException();
            })).GetAwaiter().GetResult(), Throws.TypeOf<TinyRun.KilledException>());
        }
        next = 1; // the features are there: the same score comes out
        var last = Resume("run", null, new FakeEvaluation { Scripted = () => script[next++] });
        Assert.Multiple(() =>
        {
            Assert.That(Rows("run").Select(row => string.Join(',', row.Split(',')[..2])), Is.EqualTo(new[] { "5,3", "10,1", "12,2" }));
            Assert.That((last.Score!.Fid, last.Best!.Fid, last.Best.Step), Is.EqualTo((2.0, 1.0, 10)));
            Assert.That(Checkpoint.Read(_run.Path("run/model-best.safetensors")).Step, Is.EqualTo(10));
            Assert.That(Checkpoint.Read(_run.Path("run/model-2.safetensors")).Score!.Fid, Is.EqualTo(1));
        });
    }

    [Test]
    public void Features_of_other_settings_are_discarded_and_said_so()
    {
        var killer = new FakeEvaluation { Scripted = () => throw new TinyRun.KilledException() };
        Assert.That(() => Train("run", Scored, killer), Throws.TypeOf<TinyRun.KilledException>());
        Resume("run", Scored with { Evaluation = Validation with { FidSeed = 10 } }, new FakeEvaluation());
        Assert.That(_reports.Count(r => r.Phase == TrainingPhase.FeaturesDiscarded), Is.EqualTo(1));
        Assert.That(Rows("run").Select(row => row.Split(',')[7]), Is.All.EqualTo("10"));
    }

    [Test]
    public void Resumed_run_does_not_overwrite_a_better_best()
    {
        Train("run", Scored, new FakeEvaluation { Scripted = () => 1 });
        byte[] best = File.ReadAllBytes(_run.Path("run/model-best.safetensors"));
        Assert.That(Checkpoint.Read(_run.Path("run/model-best.safetensors")).Step, Is.EqualTo(5), "equal scores do not replace it");
        var longer = Scored with { Trainer = Scored.Trainer with { TrainNumSteps = 16 } };
        var last = Resume("run", longer, new FakeEvaluation { Scripted = () => 2 });
        Assert.That(File.ReadAllBytes(_run.Path("run/model-best.safetensors")), Is.EqualTo(best));
        Assert.That((last.Score!.Fid, last.Best!.Fid), Is.EqualTo((2.0, 1.0)));
        Resume("run", longer with { Trainer = longer.Trainer with { TrainNumSteps = 17 } }, new FakeEvaluation { Scripted = () => 0.5 });
        Assert.That(Checkpoint.Read(_run.Path("run/model-best.safetensors")).Step, Is.EqualTo(17));
    }

    [Test]
    public void Best_of_another_protocol_is_set_aside_and_not_lost()
    {
        Train("run", Scored, new FakeEvaluation { Scripted = () => 1 });
        var finer = Scored with { Evaluation = Validation with { NumFidSamples = 8 } };
        Resume("run", finer, new FakeEvaluation { Scripted = () => 5 });
        Assert.Multiple(() =>
        {
            Assert.That(Checkpoint.Read(_run.Path("run/model-best.safetensors")).Score!.Fid, Is.EqualTo(5));
            Assert.That(Checkpoint.Read(_run.Path("run/model-best-of-step-5.safetensors")).Score!.Fid, Is.EqualTo(1));
            Assert.That(_reports.Single(r => r.Phase == TrainingPhase.SetBestAside).File, Does.EndWith("model-best-of-step-5.safetensors"));
            Assert.That(Rows("run").Select(row => row.Split(',')[4]), Is.EqualTo(new[] { "7", "7", "7", "8" }));
        });
    }

    [Test]
    public void Best_and_latest_only_are_kept()
    {
        int next = 0;
        Train("run", Scored with { Evaluation = Validation with { SaveBestAndLatestOnly = true } },
            new FakeEvaluation { Scripted = () => Math.Abs(++next - 2) });
        Assert.That(Directory.GetFiles(_run.Path("run"), "*.safetensors").Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "model-best.safetensors", "model-latest.safetensors" }));
        Assert.That(Checkpoint.Read(_run.Path("run/model-best.safetensors")).Step, Is.EqualTo(10));
        Assert.That(Checkpoint.Latest(_run.Path("run"))!.Path, Does.EndWith("model-latest.safetensors"));
    }

    [Test]
    public void Score_may_fall_between_milestones_and_at_the_end_alone()
    {
        Train("between", Scored with { Evaluation = Validation with { FidEvery = 4 } }, new FakeEvaluation());
        Train("end", Scored with { Evaluation = Validation with { Fid = EvaluationStage.Final } }, new FakeEvaluation());
        Assert.That(Rows("between").Select(row => row.Split(',')[0]), Is.EqualTo(new[] { "4", "8", "12" }));
        Assert.That(Rows("end").Select(row => row.Split(',')[0]), Is.EqualTo(new[] { "12" }));
    }

    [Test]
    public void Run_with_all_its_scores_is_not_tried_again()
    {
        var last = Train("run", Scored, new FakeEvaluation());
        var fake = new FakeEvaluation();
        Assert.That(Resume("run", Scored, fake).Path, Is.EqualTo(last.Path));
        Assert.That((fake.Checks, fake.Images.Count), Is.EqualTo((0, 0)));
    }

    [Test]
    public void Finished_run_can_be_scored_afterwards()
    {
        var finished = _run.Train("run", TinyRun.Plain);
        var scored = Resume("run", Scored with { Evaluation = Validation with { Fid = EvaluationStage.Final } }, new FakeEvaluation());
        Assert.That(Rows("run"), Has.Length.EqualTo(1));
        _run.CheckSame("run", finished with { Path = scored.Path }, "run", scored with { Score = null, Best = null });
    }

    [Test]
    public void Checkpoint_of_a_run_named_by_a_relative_path_survives_its_score()
    {
        _run.Train("run", TinyRun.Plain);
        string relative = Path.GetRelativePath(Environment.CurrentDirectory, _run.Path("run"));
        using var trainer = Trainer.Resume(relative, _run.Dataset, _run.Device, Scored, new FakeEvaluation());
        Assert.That(File.Exists(trainer.RunAsync().GetAwaiter().GetResult().Path));
        Assert.That(Checkpoint.Read(_run.Path("run/model-latest.safetensors")).Score, Is.Not.Null);
    }

    [Test]
    public void Policy_without_an_evaluation_is_refused()
        => Assert.That(() => _run.Start("run", Scored), Throws.TypeOf<OptionsException>().With.Property("Option").EqualTo("fid"));

    [Test]
    public void Progress_tells_rates_and_time_left()
    {
        Train("run", Scored, new FakeEvaluation());
        var evaluations = _reports.Where(r => r.Evaluation is not null).Select(r => r.Evaluation!).ToList();
        Assert.Multiple(() =>
        {
            Assert.That(evaluations.Select(e => e.Work).Distinct(), Is.EqualTo(new[]
            {
                EvaluationWork.Reference, EvaluationWork.Sampling, EvaluationWork.Features, EvaluationWork.Statistics,
            }));
            Assert.That(evaluations.Where(e => e.Work == EvaluationWork.Sampling).Take(6).Select(e => e.Done),
                Is.EqualTo(new[] { 1.5, 3, 4.5, 6, 6.5, 7 }));
            Assert.That(evaluations.Where(e => e.Work == EvaluationWork.Features), Has.All.Matches<EvaluationProgress>(
                e => e is { SamplingRate: > 0, FeatureRate: > 0, Total: Samples }));
            Assert.That(evaluations.Last(e => e.Work == EvaluationWork.Features).Remaining, Is.EqualTo(TimeSpan.Zero));
        });
    }

    private Checkpoint Train(string folder, RunOptions options, IEvaluation evaluation)
    {
        using var trainer = Trainer.Start(_run.Path(folder), options, _run.Dataset, _run.Device, evaluation);
        return trainer.RunAsync(new Watcher(_reports.Add)).GetAwaiter().GetResult();
    }

    private Checkpoint Resume(string folder, RunOptions? options, IEvaluation evaluation)
    {
        using var trainer = Trainer.Resume(_run.Path(folder), _run.Dataset, _run.Device, options, evaluation);
        return trainer.RunAsync(new Watcher(_reports.Add)).GetAwaiter().GetResult();
    }

    private string[] Rows(string folder) => [.. File.ReadLines(_run.Path(folder) + "/evaluation.csv").Skip(1)];

    /// <summary>A row without its times.</summary>
    private static string Scores(string row) => string.Join(',', row.Split(',')[..11]);
}

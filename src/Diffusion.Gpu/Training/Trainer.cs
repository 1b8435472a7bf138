using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Training;

/// <summary>Trains a U-Net on a folder of images: steps, metrics, sample grids and checkpoints in a run folder.</summary>
/// <remarks>denoising-diffusion-pytorch, Trainer: loss of every pass, clipping, Adam, average, and at milestones a grid of samples from
/// the average and a checkpoint. Every random number is a function of seed and step, so a resumed run computes the same bits.</remarks>
public sealed partial class Trainer : IDisposable
{
    private readonly RunFolder _folder;
    private readonly ImageDataset _dataset;
    private readonly GaussianDiffusion _diffusion;
    private readonly TrainingState _state;
    private readonly TrainingClock _clock;
    private readonly Evaluator? _evaluator;
    private readonly BestCheckpoint _best;
    private bool _isPrepared;
    private Checkpoint? _latest;

    private Trainer(RunFolder folder, RunOptions options, ImageDataset dataset, Device device, IEvaluation? evaluation,
        Checkpoint? from)
    {
        options.Validate();
        var plan = options.Evaluation.PlanFor(options);
        OptionsException.ThrowUnless(plan is null || evaluation is not null, "fid", options.Evaluation.Fid,
            "off, or an evaluation that is handed to the trainer");
        if (dataset.Transform != options.ImageTransform)
        {
            throw new ArgumentException($"the images are brought to {dataset.Transform}, the options ask for {options.ImageTransform}",
                nameof(dataset));
        }
        dataset.CheckFills(options.Trainer.TrainBatchSize);
        _folder = folder;
        Options = options;
        _dataset = dataset;
        _latest = from;
        _diffusion = new GaussianDiffusion(options.Diffusion);
        _best = new BestCheckpoint(folder, from?.Best);
        _evaluator = plan is null ? null : new Evaluator(folder, plan, evaluation!, dataset, _diffusion);
        _state = new TrainingState(device, options.Unet, options.Trainer);
        try
        {
            from?.Restore(_state);
            // Last, so that a run which cannot begin leaves no trace.
            folder.Prepare(CheckpointBytes(_state.Online));
            folder.WriteOptions(options);
        }
        catch
        {
            _state.Dispose();
            throw;
        }
        Step = from?.Step ?? 0;
        _clock = new TrainingClock(from?.Elapsed ?? TimeSpan.Zero);
    }

    /// <summary>Everything that decides the run.</summary>
    public RunOptions Options { get; }

    /// <summary>Steps taken, those before a resume included.</summary>
    public long Step { get; private set; }

    /// <summary>The folder of the run.</summary>
    public string Folder => _folder.Path;

    /// <summary>Number of weights.</summary>
    public long ParameterCount => _state.Online.Parameters.Count;

    /// <summary>What the steps change.</summary>
    internal TrainingState State => _state;

    /// <summary>Begins a run.</summary>
    /// <param name="runFolder">Made where it does not exist; must hold no other run.</param>
    /// <param name="options">Everything that decides the run.</param>
    /// <param name="dataset">Opened with the options' <see cref="RunOptions.ImageTransform"/>.</param>
    /// <param name="device">Where to train.</param>
    /// <param name="evaluation">Scores samples as the options' policy says; needed where it is on.</param>
    /// <exception cref="IOException">The folder cannot be written, lacks room, or holds a run already.</exception>
    /// <exception cref="OptionsException">An option cannot be used.</exception>
    /// <exception cref="ImageFormatException">There are fewer images than a batch takes.</exception>
    public static Trainer Start(string runFolder, RunOptions options, ImageDataset dataset, Device device,
        IEvaluation? evaluation = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(runFolder);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentNullException.ThrowIfNull(device);
        var folder = new RunFolder(runFolder);
        if (folder.HoldsRun)
            throw new IOException($"{folder.Path}: holds a run already; resume it or choose another folder");
        return new Trainer(folder, options, dataset, device, evaluation, from: null);
    }

    /// <summary>Goes on with a run from its newest complete checkpoint, or from the beginning where it has none.</summary>
    /// <param name="runFolder">The folder of the run.</param>
    /// <param name="dataset">The images that the run was begun with.</param>
    /// <param name="device">Where to train; the same kind of device gives the same bits.</param>
    /// <param name="options">Null for the run's own; others may differ in what training does not compute with: train-num-steps.</param>
    /// <param name="evaluation">Scores samples as the options' policy says; needed where it is on.</param>
    /// <exception cref="IOException">The folder holds no run or cannot be written.</exception>
    /// <exception cref="OptionsException">An option differs that must not.</exception>
    /// <exception cref="ImageFormatException">The data set is not the one that the run was begun with.</exception>
    public static Trainer Resume(string runFolder, ImageDataset dataset, Device device, RunOptions? options = null,
        IEvaluation? evaluation = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(runFolder);
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentNullException.ThrowIfNull(device);
        var folder = new RunFolder(runFolder);
        var checkpoint = Checkpoint.Latest(runFolder);
        options ??= OptionsOf(runFolder);
        if (checkpoint is not null)
            options.CheckContinues(checkpoint.Options);
        else if (folder.HasOptions)
            options.CheckContinues(folder.ReadOptions());
        if (checkpoint is { Dataset.Length: > 0 } && checkpoint.Dataset != dataset.Fingerprint)
        {
            throw new ImageFormatException(dataset.Path, "its files are not those that the run was begun with",
                "give the same folder or archive, unchanged, or begin a new run");
        }
        return new Trainer(folder, options, dataset, device, evaluation, checkpoint);
    }

    /// <summary>The options that a resumed run goes on with: those that it was last begun or resumed with.</summary>
    /// <exception cref="IOException">The folder holds no run.</exception>
    public static RunOptions OptionsOf(string runFolder)
    {
        var folder = new RunFolder(runFolder);
        return (folder.HasOptions ? null : Checkpoint.Latest(runFolder))?.Options ?? folder.ReadOptions();
    }

    /// <summary>Trains up to train-num-steps.</summary>
    /// <param name="progress">Informed of every step and every file.</param>
    /// <param name="cancellation">Ends the run after the step under way; a checkpoint is written and returned, nothing is thrown.</param>
    /// <returns>The newest checkpoint; its step tells whether the run ended or was cancelled.</returns>
    /// <exception cref="DivergedException">A loss or a gradient is not finite; the step was not applied.</exception>
    /// <exception cref="IOException">A file cannot be written; the last good checkpoint stands.</exception>
    public Task<Checkpoint> RunAsync(IProgress<TrainingProgress>? progress = null, CancellationToken cancellation = default)
        => Task.Factory.StartNew(() => Run(progress, cancellation), CancellationToken.None, TaskCreationOptions.LongRunning,
            TaskScheduler.Default);

    /// <summary>Returns the device's memory.</summary>
    public void Dispose() => _state.Dispose();

    private Checkpoint Run(IProgress<TrainingProgress>? progress, CancellationToken cancellation)
    {
        var trainer = Options.Trainer;
        using var metrics = MetricsFile.Open(_folder.Metrics, Step);
        using var loader = new BatchLoader(_dataset, trainer.Seed, trainer.TrainBatchSize, trainer.AugmentHorizontalFlip,
            firstBatch: Step * trainer.GradientAccumulateEvery);
        var result = new StepResult(float.NaN, float.NaN);
        if (_evaluator is not null)
        {
            _evaluator.Discarded = (phase, file) => Report(phase, file);
            if (!_isPrepared)
                PrepareEvaluation(CancellationToken.None);
            ScoreIfDue(); // that of the newest checkpoint, if it was cut off or is wanted only now
        }
        while (Step < trainer.TrainNumSteps && !cancellation.IsCancellationRequested)
        {
            result = TakeStep(loader);
            metrics.Append(Step, result.Loss, result.GradientNorm, trainer.TrainLr, _clock.LatestRate, _clock.Elapsed.TotalSeconds);
            Report(TrainingPhase.Training);
            if (Step % trainer.SaveAndSampleEvery == 0)
                Milestone(Step / trainer.SaveAndSampleEvery);
            else if (Step < trainer.TrainNumSteps && _evaluator?.Plan.IsDue(Step, trainer.TrainNumSteps) == true)
                SaveAll(null);
            ScoreIfDue();
        }
        if (_latest is null || _latest.Step != Step)
            Milestone(null);
        ScoreIfDue();
        return _latest!;

        void Milestone(long? milestone)
        {
            _clock.BeginMilestone();
            Report(TrainingPhase.Sampling);
            if (TrySample(_folder.SampleFile(milestone), share => Report(TrainingPhase.Sampling, samplingShare: share), cancellation))
                Report(TrainingPhase.Sampled, _folder.SampleFile(milestone));
            SaveAll(milestone);
            _clock.EndMilestone();
        }

        void SaveAll(long? milestone)
        {
            // A row must not be missing for a step that a checkpoint counts.
            metrics.Flush();
            Save(_folder.CheckpointFile(Options.Evaluation.SaveBestAndLatestOnly ? null : milestone));
            Report(TrainingPhase.Saved, _latest!.Path);
        }

        // After the checkpoint, so that a run which is cut off while it scores has lost nothing.
        void ScoreIfDue()
        {
            if (!IsScoreMissing || cancellation.IsCancellationRequested)
                return;
            _clock.ReferenceSeconds = 0; // the progress of the evaluation counts what is left of it
            var score = _evaluator!.Run(_state.Average, Step, state => Report(TrainingPhase.Evaluating, evaluation: state), cancellation);
            if (score is null)
                return;
            EvaluationFile.Append(_folder.Evaluations, score);
            _clock.EvaluationSeconds = score.Seconds.Sum();
            Report(TrainingPhase.Evaluated, score: score);
            Keep(score, (phase, file) => Report(phase, file));
        }

        void Report(TrainingPhase phase, string? file = null, double samplingShare = 0, EvaluationProgress? evaluation = null,
            EvaluationRecord? score = null)
        {
            long scores = _evaluator?.Plan.CountAfter(Step, trainer.TrainNumSteps) ?? 0;
            var remaining = _clock.Remaining(Step, trainer.TrainNumSteps, trainer.SaveAndSampleEvery, scores)
                + (evaluation?.Remaining ?? TimeSpan.Zero);
            progress?.Report(new TrainingProgress(phase, Step, trainer.TrainNumSteps, result.Loss, result.GradientNorm, trainer.TrainLr,
                _clock.SmoothedRate, _clock.Elapsed, remaining, file, samplingShare)
            {
                Evaluation = evaluation,
                Score = score,
            });
        }
    }

    private StepResult TakeStep(BatchLoader loader)
    {
        var (trainer, image) = (Options.Trainer, _dataset.Transform);
        int passes = trainer.GradientAccumulateEvery;
        _clock.BeginStep();
        var result = _state.Step(passes, (tape, pass) =>
        {
            var images = tape.Constant([trainer.TrainBatchSize, image.Height, image.Width, image.Channels], loader.Next());
            return _diffusion.Loss(tape, _state.Online, images, trainer.Seed, checked((uint)((Step * passes) + pass)));
        });
        if (!result.IsFinite)
            throw new DivergedException(Step + 1, result.Loss, result.GradientNorm, _latest?.Path);
        Step++;
        _clock.EndStep(passes * trainer.TrainBatchSize);
        return result;
    }

    /// <summary>Draws a grid from the average; the sampler's random numbers are its own, so training does not notice.</summary>
    /// <returns>False where the sampler was cancelled.</returns>
    private bool TrySample(string path, Action<double> report, CancellationToken cancellation)
    {
        var (options, image) = (Options.Trainer, _dataset.Transform);
        var grid = new float[options.NumSamples * image.Length];
        try
        {
            // In parts of a training batch, which is known to fit the device; a sample does not depend on the part that it is in.
            for (int first = 0; first < options.NumSamples; first += options.TrainBatchSize)
            {
                int count = Math.Min(options.TrainBatchSize, options.NumSamples - first);
                using var samples = Sampler.For(_diffusion).Sample(_state.Average, count, options.Seed, (uint)first,
                    new GridProgress(first, count, options.NumSamples, report), cancellation);
                samples.CopyTo(grid.AsSpan(first * image.Length, count * image.Length));
            }
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        if (!Array.TrueForAll(grid, float.IsFinite))
            throw DivergedException.OfSamples(Step, _latest?.Path);
        int perRow = (int)Math.Ceiling(Math.Sqrt(options.NumSamples));
        PngWriter.Write(path, ImageGrid.Make(grid, image.Height, image.Width, image.Channels, perRow));
        return true;
    }

    private void Save(string path, EvaluationRecord? score = null)
    {
        var checkpoint = new Checkpoint
        {
            Path = path,
            Options = Options,
            Step = Step,
            AdamSteps = _state.Adam.Steps,
            EmaUpdates = _state.Ema.Updates,
            Elapsed = _clock.Elapsed,
            Dataset = _dataset.Fingerprint,
            Score = score,
            Best = _best.Score,
        };
        try
        {
            checkpoint.Save(_state);
        }
        catch (IOException error)
        {
            throw new IOException($"{error.Message}; the run stopped after step {Step}, "
                + (_latest is null ? "no checkpoint exists yet" : $"the last good checkpoint is {_latest.Path} of step {_latest.Step}"),
                error);
        }
        _latest = checkpoint;
        string between = _folder.CheckpointFile(null);
        if (path != between)
            File.Delete(between);
    }

    /// <summary>Weights, their average and two moments, in bytes.</summary>
    private static long CheckpointBytes(Unet unet) => 4 * sizeof(float) * unet.Parameters.Count;

    /// <summary>Turns the steps of one part of a grid into a share of the whole.</summary>
    private sealed class GridProgress(int done, int count, int total, Action<double> report) : IProgress<SamplingProgress>
    {
        public void Report(SamplingProgress value) => report((done + ((double)count * value.Step / value.Steps)) / total);
    }
}

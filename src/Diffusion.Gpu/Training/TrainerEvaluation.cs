using System.Diagnostics;

namespace Diffusion.Gpu.Training;

/// <content>What a trainer does about scores.</content>
public sealed partial class Trainer
{
    /// <summary>Tries the scoring on a few images, so that what it lacks shows now, and measures what it will cost.</summary>
    /// <param name="cancellation">Ends the work.</param>
    /// <returns>Null where nothing is scored, or every score of the run is there.</returns>
    /// <remarks>A run does this by itself if it was not done before. It leaves no trace in the training.</remarks>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public EvaluationCost? PrepareEvaluation(CancellationToken cancellation = default)
    {
        _isPrepared = true;
        if (_evaluator is null)
            return null;
        if (ScoresToCome == 0)
            return null;
        var (networkCall, feature, referenceImages) = _evaluator.Try(_state.Average, cancellation);
        long steps = Math.Max(Options.Trainer.TrainNumSteps - Step, 0);
        var cost = new EvaluationCost(_evaluator.Plan, ScoresToCome, steps, steps > 0 ? TimeTrainingStep() : 0, networkCall, feature,
            referenceImages);
        _clock.EvaluationSeconds = cost.SecondsPerScore;
        _clock.ReferenceSeconds = cost.ReferenceSeconds;
        return cost;
    }

    /// <summary>Scores from here to the end of the run, that of the newest checkpoint included where it lacks one.</summary>
    public long ScoresToCome => _evaluator is null ? 0
        : _evaluator.Plan.CountAfter(Step, Options.Trainer.TrainNumSteps) + (IsScoreMissing ? 1 : 0);

    /// <summary>Whether the newest checkpoint is due for a score that it does not have, or not by the present settings.</summary>
    private bool IsScoreMissing => _evaluator is { } evaluator && _latest is { } latest && latest.Step == Step
        && evaluator.Plan.IsDue(Step, Options.Trainer.TrainNumSteps) && latest.Score?.Protocol != evaluator.Protocol;

    /// <summary>Writes a score into the newest checkpoint and, where it is the best, a checkpoint of its own.</summary>
    private void Keep(EvaluationRecord score, Action<TrainingPhase, string> report)
    {
        // The best one first: only a checkpoint with a score tells a resumed run that nothing is left to do for it.
        if (_best.Offer(score))
            _best.Write(_latest! with { Score = score, Best = score }, _state, report);
        // The tensors have not changed; the file is written again for its metadata.
        string path = Path.GetFullPath(_latest!.Path); // a resumed run's may be relative
        Save(path == _folder.BestCheckpoint ? _folder.CheckpointFile(null) : path, score);
        _evaluator!.Forget();
    }

    /// <summary>Passes are repeated up to this time in all.</summary>
    private const double EnoughSeconds = 4;

    /// <summary>Seconds of a training step, from forward and backward passes whose gradients are forgotten.</summary>
    private double TimeTrainingStep()
    {
        var (trainer, image) = (Options.Trainer, _dataset.Transform);
        double seconds = double.MaxValue, spent = 0;
        // The first passes also set up kernels and memory and run in code that is still to be optimised; beside a long one that is little.
        for (int pass = 0; pass < 4 && spent < EnoughSeconds; pass++)
        {
            var watch = Stopwatch.StartNew();
            using var tape = _state.Online.Parameters.Device.NewTape();
            var images = tape.Constant([trainer.TrainBatchSize, image.Height, image.Width, image.Channels],
                new float[trainer.TrainBatchSize * image.Length]);
            tape.Backward(_diffusion.Loss(tape, _state.Online, images, trainer.Seed, 0));
            _ = _state.Online.Parameters.All.First(parameter => parameter.HasGradient).Gradient!.ToArray(); // waits for the device
            seconds = Math.Min(seconds, watch.Elapsed.TotalSeconds);
            spent += watch.Elapsed.TotalSeconds;
            _state.Online.Parameters.ClearGradients();
        }
        return seconds * trainer.GradientAccumulateEvery;
    }
}

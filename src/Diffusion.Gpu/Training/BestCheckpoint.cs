namespace Diffusion.Gpu.Training;

/// <summary>model-best of a run folder: the checkpoint whose samples scored best, never replaced by a worse one.</summary>
internal sealed class BestCheckpoint
{
    private readonly RunFolder _folder;

    /// <param name="folder">The run folder.</param>
    /// <param name="known">The best score that the run's newest checkpoint knows of.</param>
    /// <exception cref="Kernels.Weights.WeightsException">There is a best checkpoint that cannot be read.</exception>
    public BestCheckpoint(RunFolder folder, EvaluationRecord? known)
    {
        _folder = folder;
        OnDisk = File.Exists(folder.BestCheckpoint) ? Checkpoint.Read(folder.BestCheckpoint).Score : null;
        Score = OnDisk is not null && OnDisk.IsBetterThan(known) ? OnDisk : known ?? OnDisk;
    }

    /// <summary>The best score of the run; the file may be gone, the score stays.</summary>
    public EvaluationRecord? Score { get; private set; }

    /// <summary>The score of the file; null where there is none.</summary>
    private EvaluationRecord? OnDisk { get; set; }

    /// <summary>Takes a score into account.</summary>
    /// <returns>Whether its checkpoint is to be written as the best one.</returns>
    public bool Offer(EvaluationRecord score)
    {
        bool isBest = Score is null || Score.Protocol != score.Protocol || score.IsBetterThan(Score);
        if (isBest)
            Score = score;
        return isBest;
    }

    /// <summary>Writes a checkpoint as the best one; one that was scored by other settings is set aside.</summary>
    /// <param name="checkpoint">The checkpoint, with its score.</param>
    /// <param name="state">Its tensors.</param>
    /// <param name="report">Told of both files.</param>
    public void Write(Checkpoint checkpoint, TrainingState state, Action<TrainingPhase, string> report)
    {
        if (OnDisk is { } old && old.Protocol != checkpoint.Score!.Protocol)
        {
            string aside = _folder.FormerBestCheckpoint(old.Step);
            File.Move(_folder.BestCheckpoint, aside, overwrite: true);
            report(TrainingPhase.SetBestAside, aside);
        }
        (checkpoint with { Path = _folder.BestCheckpoint }).Save(state);
        OnDisk = checkpoint.Score;
        report(TrainingPhase.SavedBest, _folder.BestCheckpoint);
    }
}

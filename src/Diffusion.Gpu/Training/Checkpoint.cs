using System.Globalization;
using System.Text.Json;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Training;

/// <summary>The tensors of a checkpoint: what a training step changes.</summary>
public enum CheckpointPart
{
    /// <summary>The weights that training left.</summary>
    Model,

    /// <summary>Their average.</summary>
    Average,

    /// <summary>Adam's average of the gradients.</summary>
    FirstMoment,

    /// <summary>Adam's average of the squared gradients.</summary>
    SecondMoment,
}

/// <summary>A checkpoint file: the run's options and counters, which lie in its metadata, and the way to its tensors.</summary>
/// <remarks>One safetensors file with PyTorch's names and shapes: the trained weights under "model.", their average under "ema.", Adam's
/// moments under "opt.exp_avg." and "opt.exp_avg_sq.". It opens without any other file.</remarks>
public sealed record Checkpoint
{
    private const string FormatName = "diffusion.gpu";
    private const string FormatVersion = "1";

    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>Everything that decides the model and its training.</summary>
    public required RunOptions Options { get; init; }

    /// <summary>Training steps taken.</summary>
    public required long Step { get; init; }

    /// <summary>Steps of the optimiser.</summary>
    public required long AdamSteps { get; init; }

    /// <summary>Calls of the average's update.</summary>
    public required long EmaUpdates { get; init; }

    /// <summary>Time spent training.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The data set's <see cref="ImageDataset.Fingerprint"/>; empty where it is not known, and any may be resumed with.</summary>
    public required string Dataset { get; init; }

    /// <summary>The score of this checkpoint's own averaged weights; null where there is none yet.</summary>
    public EvaluationRecord? Score { get; init; }

    /// <summary>The best score of the run so far.</summary>
    public EvaluationRecord? Best { get; init; }

    /// <summary>What the names of a part's tensors begin with; the rest is the weight's name in <see cref="WeightLayout"/>.</summary>
    public static string PrefixOf(CheckpointPart part) => part switch
    {
        CheckpointPart.Model => "model.",
        CheckpointPart.Average => "ema.",
        CheckpointPart.FirstMoment => "opt.exp_avg.",
        CheckpointPart.SecondMoment => "opt.exp_avg_sq.",
        _ => throw new ArgumentOutOfRangeException(nameof(part), part, "no such part"),
    };

    /// <summary>Whether metadata are those of a checkpoint.</summary>
    public static bool IsCheckpoint(IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        return metadata.GetValueOrDefault("format") == FormatName;
    }

    /// <summary>Reads a checkpoint's options and counters.</summary>
    /// <exception cref="WeightsException">The file is missing, cut short, or no checkpoint.</exception>
    public static Checkpoint Read(string path)
    {
        using var file = SafetensorsReader.Open(path);
        return FromMetadata(path, file.Metadata);
    }

    /// <summary>The newest complete checkpoint of a run folder, or null where it has none.</summary>
    /// <exception cref="WeightsException">There are checkpoints, but none can be read.</exception>
    public static Checkpoint? Latest(string runFolder)
    {
        ArgumentException.ThrowIfNullOrEmpty(runFolder);
        if (!Directory.Exists(runFolder))
            return null;
        Checkpoint? latest = null;
        WeightsException? fault = null;
        // The best one first, so that of two equals the run's own is taken.
        var paths = Directory.EnumerateFiles(runFolder, "model-*.safetensors").Order(StringComparer.Ordinal)
            .OrderByDescending(path => System.IO.Path.GetFileName(path).StartsWith("model-best", StringComparison.Ordinal));
        foreach (string path in paths)
        {
            try
            {
                var checkpoint = Read(path);
                latest = latest is null || checkpoint.Step >= latest.Step ? checkpoint : latest;
            }
            catch (WeightsException error)
            {
                fault = error;
            }
        }
        return latest ?? (fault is null ? null : throw fault);
    }

    /// <summary>Opens a checkpoint for sampling; the optimiser's state is not read.</summary>
    /// <param name="path">A checkpoint file.</param>
    /// <param name="device">Where the weights will lie.</param>
    /// <param name="averaged">True for the averaged weights, which sample better; false for those that training left.</param>
    /// <returns>The model; the caller disposes it.</returns>
    /// <exception cref="WeightsException">The file is missing, cut short, no checkpoint or another model's: all faults are
    /// listed.</exception>
    public static TrainedModel OpenModel(string path, Device device, bool averaged = true)
    {
        using var file = SafetensorsReader.Open(path);
        var checkpoint = FromMetadata(path, file.Metadata);
        var unet = new Unet(device, checkpoint.Options.Unet, checkpoint.Options.Trainer.Seed);
        try
        {
            UnetWeights.Load(unet, file, path, PrefixOf(averaged ? CheckpointPart.Average : CheckpointPart.Model));
            return new TrainedModel(checkpoint, unet, new GaussianDiffusion(checkpoint.Options.Diffusion));
        }
        catch
        {
            unet.Dispose();
            throw;
        }
    }

    /// <summary>Writes a checkpoint to <see cref="Path"/>, whole or not at all.</summary>
    /// <param name="tensors">The four parts; without the moments of Adam a run goes on with fresh ones.</param>
    /// <exception cref="IOException">The file cannot be written; a previous one is untouched.</exception>
    public void Write(IEnumerable<TensorSource> tensors)
    {
        var metadata = new Dictionary<string, string>
        {
            ["format"] = FormatName,
            ["format_version"] = FormatVersion,
            ["options"] = Options.Write(),
            ["step"] = Text(Step),
            ["random_draws"] = Text(Step * Options.Trainer.GradientAccumulateEvery),
            ["adam_steps"] = Text(AdamSteps),
            ["ema_updates"] = Text(EmaUpdates),
            ["elapsed_s"] = Text(Elapsed.TotalSeconds),
            ["dataset"] = Dataset,
        };
        if (Score is not null)
            metadata["score"] = JsonSerializer.Serialize(Score, OptionsJson.Compact);
        if (Best is not null)
            metadata["best_score"] = JsonSerializer.Serialize(Best, OptionsJson.Compact);
        SafetensorsWriter.Write(Path, metadata, tensors);
    }

    /// <summary>Writes the state to <see cref="Path"/>, whole or not at all.</summary>
    /// <exception cref="IOException">The file cannot be written; a previous one is untouched.</exception>
    internal void Save(TrainingState state) => Write(
    [
        .. UnetWeights.Save(state.Online, PrefixOf(CheckpointPart.Model)),
        .. UnetWeights.Save(state.Average, PrefixOf(CheckpointPart.Average)),
        .. UnetWeights.SaveState(state.Online, state.Adam.FirstMoment, PrefixOf(CheckpointPart.FirstMoment)),
        .. UnetWeights.SaveState(state.Online, state.Adam.SecondMoment, PrefixOf(CheckpointPart.SecondMoment)),
    ]);

    /// <summary>Brings a state to where the checkpoint left it.</summary>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape: every fault is listed.</exception>
    internal void Restore(TrainingState state)
    {
        using var file = SafetensorsReader.Open(Path);
        var faults = new List<WeightsException>();
        Attempt(faults, () => UnetWeights.Load(state.Online, file, Path, PrefixOf(CheckpointPart.Model)));
        Attempt(faults, () => UnetWeights.Load(state.Average, file, Path, PrefixOf(CheckpointPart.Average)));
        if (AdamSteps > 0)
        {
            Attempt(faults, () => UnetWeights.LoadState(state.Online, state.Adam.FirstMoment, file, Path,
                PrefixOf(CheckpointPart.FirstMoment)));
            Attempt(faults, () => UnetWeights.LoadState(state.Online, state.Adam.SecondMoment, file, Path,
                PrefixOf(CheckpointPart.SecondMoment)));
        }
        if (faults.Count > 0)
            throw new WeightsException(Path, null, string.Join("; ", faults.Select(fault => fault.Got)), faults[0].Wanted);
        state.Adam.Steps = AdamSteps;
        state.Ema.Updates = EmaUpdates;
    }

    private static void Attempt(List<WeightsException> faults, Action load)
    {
        try
        {
            load();
        }
        catch (WeightsException fault)
        {
            faults.Add(fault);
        }
    }

    private static Checkpoint FromMetadata(string path, IReadOnlyDictionary<string, string> metadata)
    {
        if (!IsCheckpoint(metadata))
        {
            throw new WeightsException(path, null, "its metadata names no training run",
                "expected a checkpoint written by this program; weights of other programs have to be converted first");
        }
        if (metadata.GetValueOrDefault("format_version") is var version && version != FormatVersion)
        {
            throw new WeightsException(path, null, $"checkpoint format {version}",
                $"this program reads format {FormatVersion}: use the version that wrote the file");
        }
        try
        {
            return new Checkpoint
            {
                Path = path,
                Options = RunOptions.Parse(metadata["options"]),
                Step = Count("step"),
                AdamSteps = Count("adam_steps"),
                EmaUpdates = Count("ema_updates"),
                Elapsed = TimeSpan.FromSeconds(double.Parse(metadata["elapsed_s"], CultureInfo.InvariantCulture)),
                Dataset = metadata["dataset"],
                Score = ScoreOf("score"),
                Best = ScoreOf("best_score"),
            };
        }
        catch (Exception error) when (error is KeyNotFoundException or FormatException or OverflowException or OptionsException
            or JsonException)
        {
            throw new WeightsException(path, null, $"its metadata cannot be read ({error.Message.TrimEnd('.')})",
                "the file is damaged: use another checkpoint", error);
        }

        EvaluationRecord? ScoreOf(string key)
            => metadata.TryGetValue(key, out string? text) ? JsonSerializer.Deserialize<EvaluationRecord>(text, OptionsJson.Compact) : null;

        long Count(string key) => long.Parse(metadata[key], NumberStyles.None, CultureInfo.InvariantCulture);
    }

    private static string Text<T>(T value)
        where T : IFormattable => value.ToString(null, CultureInfo.InvariantCulture);
}

using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>A U-Net in a file, whoever wrote it: its options, its weights, and what a training run left beside them.</summary>
internal sealed class UnetSource
{
    /// <summary>Under this name the options travel in files that have no place of their own for them.</summary>
    public const string OptionsName = "diffusion.gpu.options";

    private readonly Checkpoint? _checkpoint;

    private UnetSource(WeightFile file, UnetSets sets, Checkpoint? checkpoint, RunOptions? known, UnetOptions options)
    {
        File = file;
        Sets = sets;
        _checkpoint = checkpoint;
        Known = known;
        Options = options;
        Layout = Unet.LayoutOf(options);
    }

    /// <summary>The file.</summary>
    public WeightFile File { get; }

    /// <summary>Where in it the weights are.</summary>
    public UnetSets Sets { get; }

    /// <summary>All options, where the file has them.</summary>
    public RunOptions? Known { get; }

    /// <summary>The network's options: those in the file, or what its shapes tell.</summary>
    public UnetOptions Options { get; }

    /// <summary>The weights that such a network has.</summary>
    public WeightLayout Layout { get; }

    /// <summary>Whether the file is a checkpoint of this project.</summary>
    public bool IsOwn => _checkpoint is not null;

    /// <summary>Training steps taken.</summary>
    public long Step => _checkpoint?.Step ?? Count("step");

    /// <summary>Updates of the average.</summary>
    public long EmaUpdates => _checkpoint?.EmaUpdates ?? Count("ema.step");

    /// <summary>Steps of the optimiser; 0 where the file has none of its state.</summary>
    public long AdamSteps => !HasMoments ? 0 : _checkpoint?.AdamSteps ?? Count($"opt.state.{FirstTrainable}.step");

    /// <summary>Whether the optimiser's state is there.</summary>
    public bool HasMoments => Moment(FirstTrainable, CheckpointPart.FirstMoment) is not null;

    private int FirstTrainable => Layout.Slots.Index().First(slot => slot.Item.IsTrainable).Index;

    /// <summary>Looks for a U-Net.</summary>
    /// <param name="file">The file.</param>
    /// <param name="given">Options of the network that the user states.</param>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="WeightsException">Its tensors are none of a U-Net's: every misfit is listed.</exception>
    public static UnetSource? Find(WeightFile file, JsonObject? given = null)
    {
        if (UnetSets.Find(file) is not { } sets)
            return null;
        var checkpoint = Checkpoint.IsCheckpoint(file.Metadata) ? Checkpoint.Read(file.Path) : null;
        string? text = file.Metadata.GetValueOrDefault(OptionsName) ?? file.Scalar(OptionsName) as string;
        try
        {
            var known = checkpoint?.Options ?? (text is null ? null : RunOptions.Parse(text));
            var options = known?.Unet ?? UnetInference.Infer(file, sets.Any);
            if (given is { Count: > 0 })
                options = Merge(options, given);
            return new UnetSource(file, sets, checkpoint, known, options);
        }
        catch (OptionsException error)
        {
            throw new WeightsException(file.Path, null, $"its tensors describe no U-Net ({error.Message.TrimEnd('.')})",
                "the file is damaged, or of another model", error);
        }
    }

    /// <summary>Compares every tensor of both sets with what the network wants.</summary>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape; all are listed.</exception>
    public void Check()
    {
        foreach (string prefix in new[] { Sets.Online, Sets.Average }.OfType<string>())
            Check(File, Layout, prefix);
    }

    /// <summary>Compares a set of weights with what a network wants.</summary>
    /// <exception cref="WeightsException">Tensors are missing, left over or of another shape; all are listed.</exception>
    public static void Check(WeightFile file, WeightLayout layout, string prefix)
        => UnetWeights.Check(layout, file.Path, file.Tensors.Select(tensor => tensor.Entry), prefix);

    /// <summary>A weight of the trained or the averaged set; of the other set where that is missing.</summary>
    public StoredTensor Weight(WeightSlot slot, bool averaged)
        => File.Find(((averaged ? Sets.Average : Sets.Online) ?? Sets.Any) + slot.Name)!;

    /// <summary>A moment of the optimiser, or null where the file has none.</summary>
    /// <param name="index">Of the weight in the layout, which is PyTorch's order of parameters.</param>
    /// <param name="part">Which moment.</param>
    public StoredTensor? Moment(int index, CheckpointPart part) => _checkpoint is null
        ? File.Find($"opt.state.{index}.{(part == CheckpointPart.FirstMoment ? "exp_avg" : "exp_avg_sq")}")
        : File.Find(Checkpoint.PrefixOf(part) + Layout.Slots[index].Name);

    /// <summary>A count of the optimiser's steps that is not <see cref="AdamSteps"/>, with its name;
    /// null where all weights agree.</summary>
    public (string Name, long Steps)? OddStep()
    {
        if (IsOwn || !HasMoments)
            return null;
        return Layout.Slots.Index().Where(slot => slot.Item.IsTrainable)
            .Select(slot => ($"opt.state.{slot.Index}.step", Count($"opt.state.{slot.Index}.step")))
            .Cast<(string, long)?>().FirstOrDefault(count => count!.Value.Item2 != AdamSteps);
    }

    /// <summary>The checkpoint that this network becomes, with everything that one of this project's own says.</summary>
    /// <param name="options">Everything that decides the run.</param>
    /// <param name="path">Where it will lie.</param>
    public Checkpoint Describe(RunOptions options, string path) => _checkpoint is { } own
        ? own with { Path = path, Options = options, AdamSteps = AdamSteps }
        : new Checkpoint
        {
            Path = path,
            Options = options,
            Step = Step,
            AdamSteps = AdamSteps,
            EmaUpdates = EmaUpdates,
            Elapsed = TimeSpan.Zero,
            Dataset = "",
        };

    /// <summary>All options of the run: those in the file or told by its buffers, and over them what the user states.</summary>
    /// <param name="given">What the user states.</param>
    /// <exception cref="WeightsException">Something is neither in the file nor stated; everything missing is listed.</exception>
    /// <exception cref="OptionsException">A stated option is impossible.</exception>
    public RunOptions Run(JsonObject given)
    {
        if (Known is not null)
            return RunOptions.FromJson(given, Known with { Unet = Options });
        var found = ProcessInference.Infer(File, Sets.Any);
        var stated = given.Select(option => option.Key.Replace('_', '-')).ToHashSet(StringComparer.Ordinal);
        var missing = new List<string>();
        Want("image-size", "64", known: false);
        Want("timesteps", "1000", found.Timesteps is not null);
        Want("beta-schedule", "sigmoid", found.Schedule is not null);
        Want("objective", "pred_v", found.Objective is not null || Options.LearnedVariance);
        if (missing.Count > 0)
        {
            throw new WeightsException(File.Path, null, "the weights do not tell everything that a checkpoint says",
                $"add {string.Join(' ', missing)}, with the values that the model was trained with");
        }
        var diffusion = new DiffusionOptions();
        diffusion = diffusion with
        {
            Timesteps = found.Timesteps ?? diffusion.Timesteps,
            BetaSchedule = found.Schedule ?? diffusion.BetaSchedule,
            // The reference's learned-variance process regresses the noise whatever its objective says.
            Objective = Options.LearnedVariance ? Objective.PredNoise : found.Objective ?? diffusion.Objective,
            MinSnrLossWeight = found.Gamma is not null,
            MinSnrGamma = found.Gamma ?? diffusion.MinSnrGamma,
        };
        var trainer = new TrainerOptions();
        trainer = trainer with
        {
            TrainLr = Number("opt.param_groups.0.lr") ?? trainer.TrainLr,
            AdamBetas = [Number("opt.param_groups.0.betas.0") ?? trainer.AdamBetas[0],
                Number("opt.param_groups.0.betas.1") ?? trainer.AdamBetas[1]],
            TrainNumSteps = Math.Max(trainer.TrainNumSteps, Step),
        };
        return RunOptions.FromJson(given, new RunOptions { Unet = Options, Diffusion = diffusion, Trainer = trainer });

        void Want(string option, string example, bool known)
        {
            if (!known && !stated.Contains(option))
                missing.Add($"--{option} {example}");
        }
    }

    private static UnetOptions Merge(UnetOptions options, JsonObject given)
    {
        var merged = JsonNode.Parse(OptionsJson.Write(options))!.AsObject();
        foreach (var (name, value) in given)
        {
            string key = name.Replace('-', '_');
            if (merged.ContainsKey(key))
                merged[key] = value?.DeepClone();
        }
        try
        {
            return OptionsJson.Read<UnetOptions>(merged.ToJsonString());
        }
        catch (System.Text.Json.JsonException error)
        {
            throw new OptionsException("file", given.ToJsonString(), $"options of the network ({error.Message.TrimEnd('.')})");
        }
    }

    private double? Number(string name) => File.Scalar(name) switch
    {
        double number => number,
        long number => number,
        _ => null,
    };

    /// <summary>A counter, which PyTorch keeps as a number or as a tensor.</summary>
    private long Count(string name)
    {
        double count = 0;
        if (File.Find(name) is { Count: 1 } tensor && tensor.Type.Element is { } type)
        {
            using var bytes = new MemoryStream();
            File.CopyTo(tensor, bytes);
            byte[] value = bytes.ToArray();
            count = type switch
            {
                ElementType.I64 => BitConverter.ToInt64(value),
                ElementType.I32 => BitConverter.ToInt32(value),
                ElementType.F32 => BitConverter.ToSingle(value),
                ElementType.F64 => BitConverter.ToDouble(value),
                _ => -1,
            };
        }
        else if ((File.Scalar(name) ?? File.Metadata.GetValueOrDefault(name)) is { } scalar)
        {
            count = scalar switch
            {
                long number => number,
                double number => number,
                string text when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) => number,
                _ => -1,
            };
        }
        return count >= 0 && count <= uint.MaxValue && count == Math.Floor(count)
            ? (long)count
            : throw new WeightsException(File.Path, null, $"'{name}' is no number of steps", $"expected 0 to {uint.MaxValue}");
    }
}

using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>Runs of a few steps of the smallest network on a few 8x8 images.</summary>
internal sealed class TinyRun : IDisposable
{
    public static readonly RunOptions Plain = new()
    {
        Unet = new UnetOptions { Dim = 8, DimMults = [1, 2], Channels = 1, AttnHeads = 2, AttnDimHead = 4 },
        Diffusion = new DiffusionOptions { ImageSize = 8, Timesteps = 20, SamplingTimesteps = 2, BetaSchedule = BetaSchedule.Cosine },
        Trainer = new TrainerOptions
        {
            TrainBatchSize = 4, TrainLr = 1e-3, TrainNumSteps = 12, SaveAndSampleEvery = 5, NumSamples = 3, EmaUpdateEvery = 2, Seed = 11,
        },
    };

    /// <summary>Every source of random numbers in use.</summary>
    public static readonly RunOptions Random = Plain with
    {
        Unet = Plain.Unet with { Dropout = 0.1f, SelfCondition = true },
        Diffusion = Plain.Diffusion with { OffsetNoiseStrength = 0.1f, Immiscible = true },
        Trainer = Plain.Trainer with { GradientAccumulateEvery = 2, TrainBatchSize = 3 },
    };

    private readonly TrainingScratch _scratch = new();
    private readonly bool _ownsDevice;

    /// <param name="device">Null for a cpu device of the run's own, whose memory nobody else uses.</param>
    public TinyRun(Device? device = null)
    {
        _scratch.DrawImages(10);
        Dataset = ImageDataset.Open(_scratch.Images, Plain.ImageTransform);
        _ownsDevice = device is null;
        Device = device ?? Device.Open("cpu");
    }

    public Device Device { get; }

    public ImageDataset Dataset { get; }

    public string Path(string name) => _scratch.Path(name);

    public Trainer Start(string folder, RunOptions options) => Trainer.Start(Path(folder), options, Dataset, Device);

    public Trainer Resume(string folder, RunOptions? options = null) => Trainer.Resume(Path(folder), Dataset, Device, options);

    /// <summary>Runs to the end.</summary>
    public Checkpoint Train(string folder, RunOptions options)
    {
        using var trainer = Start(folder, options);
        return trainer.RunAsync().GetAwaiter().GetResult();
    }

    /// <summary>Goes on to the end.</summary>
    public Checkpoint GoOn(string folder, RunOptions? options = null)
    {
        using var trainer = Resume(folder, options);
        return trainer.RunAsync().GetAwaiter().GetResult();
    }

    /// <summary>Begins a run and cuts it off after a step, as if the process had been killed.</summary>
    public void TrainAndKill(string folder, RunOptions options, long afterStep)
    {
        using var trainer = Start(folder, options);
        var killer = new Watcher(progress =>
        {
            if (progress.Phase == TrainingPhase.Training && progress.Step == afterStep)
                throw new KilledException();
        });
        Assert.That(() => trainer.RunAsync(killer).GetAwaiter().GetResult(), Throws.TypeOf<KilledException>());
    }

    /// <summary>Step, loss and gradient norm of every row, as written.</summary>
    public string[] Losses(string folder)
        => [.. File.ReadLines(Path(folder) + "/metrics.csv").Skip(1).Select(row => string.Join(',', row.Split(',').Take(3)))];

    /// <summary>The bytes of all tensors of a checkpoint.</summary>
    public static Dictionary<string, byte[]> Tensors(string checkpoint)
    {
        using var file = SafetensorsReader.Open(checkpoint);
        return file.Entries.ToDictionary(entry => entry.Name, entry => file.ReadBytes(entry.Name));
    }

    /// <summary>Compares the losses of two runs and all tensors of their last checkpoints, bit for bit.</summary>
    public void CheckSame(string folder, Checkpoint expected, string otherFolder, Checkpoint actual)
    {
        var (wanted, got) = (Tensors(expected.Path), Tensors(actual.Path));
        Assert.Multiple(() =>
        {
            Assert.That(Losses(otherFolder), Is.EqualTo(Losses(folder)));
            Assert.That(actual with { Path = "", Options = expected.Options, Elapsed = default },
                Is.EqualTo(expected with { Path = "", Elapsed = default }));
            Assert.That(got.Keys, Is.EquivalentTo(wanted.Keys));
            Assert.That(wanted.Where(tensor => !tensor.Value.SequenceEqual(got[tensor.Key])).Select(tensor => tensor.Key), Is.Empty);
        });
    }

    public void Dispose()
    {
        Dataset.Dispose();
        if (_ownsDevice)
            Device.Dispose();
        _scratch.Dispose();
    }

    /// <summary>Thrown where a process would be killed.</summary>
    internal sealed class KilledException : Exception;
}

/// <summary>Hands progress on at once and on the same thread.</summary>
internal sealed class Watcher(Action<TrainingProgress> watch) : IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value) => watch(value);
}

using System.Globalization;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Training;

/// <summary>The names in a run folder, and the checks that keep a run from beginning where it could not be saved.</summary>
internal sealed class RunFolder(string path)
{
    private const string Leftovers = "*.partial";

    public string Path { get; } = System.IO.Path.GetFullPath(path);

    public string Metrics => File("metrics.csv");

    public string OptionsFile => File("options.json");

    /// <summary>One row per score.</summary>
    public string Evaluations => File("evaluation.csv");

    /// <summary>The checkpoint with the best score.</summary>
    public string BestCheckpoint => File("model-best.safetensors");

    /// <summary>Statistics of the real images.</summary>
    public string Reference => File("fid-reference.npz");

    /// <summary>Features of the samples of a score that is being made.</summary>
    public string SampleFeatures => File("samples.features");

    /// <summary>Features of the real images while they are being seen.</summary>
    public string ReferenceFeatures => File("reference.features");

    /// <summary>Whether the options of a run lie here.</summary>
    public bool HasOptions => System.IO.File.Exists(OptionsFile);

    /// <summary>Whether a run was begun here.</summary>
    public bool HoldsRun => HasOptions || System.IO.File.Exists(Metrics) || Checkpoints.Any();

    private IEnumerable<string> Checkpoints
        => Directory.Exists(Path) ? Directory.EnumerateFiles(Path, "model-*.safetensors") : [];

    /// <summary>The checkpoint of a milestone; null for that of a run which stopped or ended between two.</summary>
    public string CheckpointFile(long? milestone) => File($"model-{Name(milestone)}.safetensors");

    /// <summary>Where the checkpoint of a best score goes whose successor was scored otherwise.</summary>
    public string FormerBestCheckpoint(long step) => File($"model-best-of-step-{Name(step)}.safetensors");

    /// <summary>The sample grid of a milestone; null for that of a run which ended between two.</summary>
    public string SampleFile(long? milestone) => File($"sample-{Name(milestone)}.png");

    /// <summary>Makes the folder, clears what an interrupted write left, and refuses a folder that could not take a checkpoint.</summary>
    /// <param name="checkpointBytes">Size of one checkpoint.</param>
    /// <exception cref="IOException">The folder cannot be made or written, or its disk is too full.</exception>
    public void Prepare(long checkpointBytes)
    {
        try
        {
            Directory.CreateDirectory(Path);
            foreach (string leftover in Directory.EnumerateFiles(Path, Leftovers))
                System.IO.File.Delete(leftover);
            string probe = File("probe.partial");
            System.IO.File.WriteAllBytes(probe, [0]);
            System.IO.File.Delete(probe);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{Path}: cannot be written ({error.Message.TrimEnd('.')}); choose a folder that you may write to",
                error);
        }
        long free = new DriveInfo(Path).AvailableFreeSpace;
        if (free < checkpointBytes)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"{Path}: its disk has {free / 1e6:F0} MB left but one checkpoint takes {checkpointBytes / 1e6:F0} MB; ")
                + "free disk space or choose another folder");
        }
    }

    public void WriteOptions(RunOptions options)
        => AtomicFile.Write(OptionsFile, stream => stream.Write(Encoding.UTF8.GetBytes(options.Write() + "\n")));

    /// <summary>The options that the run was begun with.</summary>
    /// <exception cref="IOException">The folder holds no run, or its options cannot be read.</exception>
    public RunOptions ReadOptions()
    {
        if (!HasOptions)
            throw new IOException($"{Path}: holds no run (no checkpoint and no options.json); check the path or begin a new run");
        try
        {
            return RunOptions.Parse(System.IO.File.ReadAllText(OptionsFile));
        }
        catch (OptionsException error)
        {
            throw new IOException($"{OptionsFile}: {error.Message.TrimEnd('.')}; restore the file or delete it", error);
        }
    }

    private static string Name(long? milestone) => milestone?.ToString(CultureInfo.InvariantCulture) ?? "latest";

    private string File(string name) => System.IO.Path.Combine(Path, name);
}

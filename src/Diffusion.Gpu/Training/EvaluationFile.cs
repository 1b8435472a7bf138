using System.Globalization;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Training;

/// <summary>evaluation.csv of a run folder: one row per score.</summary>
internal static class EvaluationFile
{
    public const string Header = "step,fid,lower,upper,samples,sampler,steps,seed,recipe,weights,root,"
        + "sampling_s,features_s,statistics_s,root_s";

    /// <summary>Columns that say which score a row holds: the step and what decides the samples and their features.</summary>
    private static readonly int[] Identity = [0, 4, 5, 6, 7, 8, 9];

    /// <summary>Adds a row; one of the same score, of a run that was cut off, and those of later steps are dropped.</summary>
    /// <exception cref="IOException">The file cannot be written, or is something else's.</exception>
    public static void Append(string path, EvaluationRecord score)
    {
        string row = Row(score);
        string[] lines = File.Exists(path) ? File.ReadAllLines(path) : [Header];
        if (lines.Length > 0 && lines[0] != Header)
            throw new IOException($"{path}: begins with '{lines[0]}'; expected '{Header}': move the file away");
        var kept = lines.Skip(1).Where(line => StepOf(line) <= score.Step && !IsSame(line, row));
        string text = string.Join('\n', [Header, .. kept, row]) + '\n';
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
    }

    private static string Row(EvaluationRecord score) => string.Create(CultureInfo.InvariantCulture,
        $"{score.Step},{score.Fid:R},{score.Lower:R},{score.Upper:R},{score.Samples},{score.Sampler},{score.Steps},{score.Seed},")
        + string.Join(',', new[] { score.Recipe, score.Weights, score.Root }.Select(text => text.Replace(',', ';')))
        + string.Concat(score.Seconds.Select(seconds => string.Create(CultureInfo.InvariantCulture, $",{seconds:F3}")));

    private static long StepOf(string row)
        => long.TryParse(row.Split(',')[0], CultureInfo.InvariantCulture, out long step) ? step : long.MaxValue;

    private static bool IsSame(string row, string other)
    {
        string[] one = row.Split(','), two = other.Split(',');
        return one.Length == two.Length && Identity.All(column => one[column] == two[column]);
    }
}

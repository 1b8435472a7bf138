using System.Globalization;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>Scores images by their mean and mean square, against those of the real images; keeps the reference as text.</summary>
internal sealed class FakeEvaluation : IEvaluation
{
    public string Key { get; init; } = "mean and mean square";

    public int FeatureLength => 2;

    /// <summary>Names of all images that were extracted.</summary>
    public List<string> Names { get; } = [];

    /// <summary>Images that were extracted.</summary>
    public List<PixelImage> Images { get; } = [];

    /// <summary>Called before each batch.</summary>
    public Action<IReadOnlyList<string>> Extracting { get; set; } = static _ => { };

    /// <summary>Replaces the score of the samples, where a test wants a certain one.</summary>
    public Func<double>? Scripted { get; set; }

    public int Checks { get; private set; }

    private double[]? Reference { get; set; }

    public void Extract(IReadOnlyList<PixelImage> images, IReadOnlyList<string> names, Span<float> features)
    {
        Extracting(names);
        Names.AddRange(names);
        Images.AddRange(images);
        for (int i = 0; i < images.Count; i++)
        {
            features[2 * i] = (float)images[i].Pixels.Average(p => p / 255.0);
            features[(2 * i) + 1] = (float)images[i].Pixels.Average(p => p / 255.0 * p / 255.0);
        }
    }

    public void Check(IFeatureRows real, IFeatureRows samples)
    {
        Checks++;
        Assert.That((real.Count, samples.Count), Is.EqualTo((8, 8)));
    }

    public ReferenceState OpenReference(string path, string key)
    {
        if (!File.Exists(path))
            return ReferenceState.Missing;
        string[] lines = File.ReadAllLines(path);
        Reference = [.. lines.Skip(1).Select(line => double.Parse(line, CultureInfo.InvariantCulture))];
        return lines[0] == key ? ReferenceState.Ready : ReferenceState.Stale;
    }

    public void MakeReference(IFeatureRows real, string path, string key)
    {
        Reference = Mean(real);
        File.WriteAllLines(path, [key, .. Reference.Select(value => value.ToString("R", CultureInfo.InvariantCulture))]);
    }

    public EvaluationScore Score(IFeatureRows samples, Action<EvaluationWork, int> report)
    {
        report(EvaluationWork.Statistics, samples.Count);
        double[] mean = Mean(samples);
        double value = Scripted?.Invoke() ?? mean.Zip(Reference!, (a, b) => (a - b) * (a - b)).Sum();
        return new EvaluationScore(value, value - 0.5, value + 0.5, "plain", "none", "no root", 0.25, 0.5);
    }

    private static double[] Mean(IFeatureRows rows)
    {
        var sum = new double[rows.Length];
        var row = new float[rows.Length];
        for (int i = 0; i < rows.Count; i++)
        {
            rows.Read(i, row);
            for (int j = 0; j < row.Length; j++)
                sum[j] += row[j] / (double)rows.Count;
        }
        return sum;
    }
}

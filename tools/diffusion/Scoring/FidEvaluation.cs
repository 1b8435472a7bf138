using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>Scores a trainer's samples by the Fréchet Inception distance.</summary>
internal sealed class FidEvaluation : IEvaluation, IDisposable
{
    /// <summary>Vectors that are read from the disk at a time.</summary>
    private const int RowsAtATime = 512;

    private readonly FeatureExtractor _extractor;
    private readonly GaussianStatistics? _given;
    private GaussianStatistics? _reference;

    private FidEvaluation(FeatureExtractor extractor, string? referencePath)
    {
        _extractor = extractor;
        Key = $"{extractor.Recipe.Name()}, {extractor.Dims} dims, weights {extractor.WeightsId}";
        if (extractor.Device.Precision is var precision and not Precision.Float32)
            Key += $", network in {precision.ToString().ToLowerInvariant()}";
        if (referencePath is null)
            return;
        _reference = _given = ReferenceStatistics.Read(referencePath, extractor.Dims, extractor.Recipe, extractor.WeightsId);
        Key += $", reference sha256:{Digest(referencePath)}";
    }

    public string Key { get; }

    public int FeatureLength => _extractor.Dims;

    /// <summary>What the weights are.</summary>
    public string WeightsLabel => _extractor.WeightsLabel;

    /// <summary>Reads weights and reference and brings the network to a device.</summary>
    /// <param name="policy">Names recipe, dims, weights and reference.</param>
    /// <param name="device">Where the network runs.</param>
    /// <exception cref="WeightsException">The weights or the reference are not there, or are others.</exception>
    /// <exception cref="OptionsException">There is no such recipe.</exception>
    public static FidEvaluation Open(EvaluationPolicy policy, Device device)
    {
        if (!FidRecipes.All.Contains(policy.FidRecipe))
            throw new OptionsException("fid-recipe", policy.FidRecipe, $"one of {string.Join(", ", FidRecipes.All)}");
        if (policy.FidWeights is null && !File.Exists(InceptionWeights.DefaultPath))
        {
            throw new WeightsException(InceptionWeights.DefaultPath, null, "Inception's weights are not there, so samples cannot be scored",
                "run 'diffusion weights fetch' once, name a .safetensors file with --fid-weights, or train with --fid off");
        }
        var weights = ScoringOptions.OpenWeights(policy.FidWeights);
        var extractor = new FeatureExtractor(device, weights, FidRecipes.Parse(policy.FidRecipe), policy.FidDims);
        try
        {
            return new FidEvaluation(extractor, policy.FidReference);
        }
        catch
        {
            extractor.Dispose();
            throw;
        }
    }

    public void Extract(IReadOnlyList<PixelImage> images, IReadOnlyList<string> names, Span<float> features)
        => _extractor.Extract(images, names).CopyTo(features);

    public void Check(IFeatureRows real, IFeatureRows samples)
        => FrechetDistance.Compute(StatisticsOf(samples), _given ?? StatisticsOf(real), _extractor.Device);

    public ReferenceState OpenReference(string path, string key)
    {
        if (_reference is not null)
            return ReferenceState.Ready;
        if (!File.Exists(path))
            return ReferenceState.Missing;
        if (!File.Exists(KeyFile(path)) || File.ReadAllText(KeyFile(path)) != KeyText(path, key))
            return ReferenceState.Stale;
        _reference = GaussianStatistics.Read(path);
        return ReferenceState.Ready;
    }

    public void MakeReference(IFeatureRows real, string path, string key)
    {
        if (real.Count < 2)
            throw new ImageFormatException(path, $"the data holds {real.Count} usable image", "a covariance needs at least two");
        var statistics = StatisticsOf(real);
        statistics.Write(path);
        AtomicFile.Write(KeyFile(path), stream => stream.Write(Encoding.UTF8.GetBytes(KeyText(path, key))));
        _reference = statistics;
    }

    public EvaluationScore Score(IFeatureRows samples, Action<EvaluationWork, int> report)
    {
        var watch = Stopwatch.StartNew();
        var statistics = StatisticsOf(samples, done => report(EvaluationWork.Statistics, done));
        double statisticsSeconds = watch.Elapsed.TotalSeconds;
        report(EvaluationWork.Distance, samples.Count);
        var distance = FrechetDistance.Compute(statistics, _reference!, _extractor.Device);
        return new EvaluationScore(distance.Value, distance.Lower, distance.Upper, _extractor.Recipe.Name(), _extractor.WeightsId,
            distance.Root, statisticsSeconds, distance.Seconds);
    }

    public void Dispose() => _extractor.Dispose();

    private GaussianStatistics StatisticsOf(IFeatureRows rows, Action<int>? report = null)
    {
        using var statistics = new FeatureStatistics(_extractor.Device, rows.Length);
        for (int first = 0; first < rows.Count; first += RowsAtATime)
        {
            var part = new float[Math.Min(RowsAtATime, rows.Count - first) * rows.Length];
            rows.Read(first, part);
            statistics.Add(part);
            report?.Invoke(Math.Min(first + RowsAtATime, rows.Count));
        }
        return statistics.Finish().MadeBy(_extractor.Recipe.Name(), _extractor.WeightsId);
    }

    private static string KeyFile(string path) => path + ".key";

    /// <summary>Names what the statistics belong to and the file itself, so that a file which was put in its place is noticed.</summary>
    private static string KeyText(string path, string key) => $"{key}\nsha256:{Digest(path)}\n";

    private static string Digest(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }
}

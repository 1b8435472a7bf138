using System.Text.Json;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>One Fréchet distance that was computed in the reference programs, with its features or its statistics.</summary>
internal sealed class FrechetGolden : IDisposable
{
    private readonly GoldenFile _file;
    private readonly string _name;
    private readonly JsonElement _scalars;

    private FrechetGolden(string file, string name)
    {
        _file = GoldenFile.Open(file);
        _name = name;
        _scalars = _file.Scalars.GetProperty(name);
    }

    /// <summary>The names of a golden file's cases.</summary>
    public static string[] Names(string file)
    {
        using var golden = GoldenFile.Open(file);
        return [.. golden.Scalars.EnumerateObject().Select(property => property.Name).Where(name => name != "probe")];
    }

    public static FrechetGolden Open(string file, string name) => new(file, name);

    /// <summary>The distance, from singular values of the features in double precision.</summary>
    public double Truth => _scalars.GetProperty("truth").GetDouble();

    /// <summary>Allowed deviation; the case without one is a closed form.</summary>
    public double Tolerance => _scalars.TryGetProperty("recommended_abs_tol", out var tolerance) ? tolerance.GetDouble() : 1e-9;

    /// <summary>Allowed deviation of sums that do not pass through the root.</summary>
    public double? MeanTerm => _scalars.TryGetProperty("mean_term", out var term) ? term.GetDouble() : null;

    /// <summary>Both sides' statistics, taken on a device.</summary>
    /// <param name="device">Where they are taken.</param>
    /// <param name="keepsFeatures">False forgets the features, as a file of mean and covariance does.</param>
    public (GaussianStatistics A, GaussianStatistics B) Statistics(Device device, bool keepsFeatures = true)
        => (Side(device, 1, keepsFeatures), Side(device, 2, keepsFeatures));

    public void Dispose() => _file.Dispose();

    private GaussianStatistics Side(Device device, int side, bool keepsFeatures)
    {
        string stored = $"{_name}/features{side}";
        if (!_file.Contains(stored) && !_scalars.TryGetProperty("dim", out _))
            return new GaussianStatistics(_file.Doubles($"{_name}/mu{side}.f64"), _file.Doubles($"{_name}/sigma{side}.f64"));
        int dims = _scalars.GetProperty("dim").GetInt32();
        using var statistics = new FeatureStatistics(device, dims);
        statistics.Add(_file.Contains(stored) ? _file.Singles(stored) : Computed(_scalars.GetProperty($"features{side}").GetString()!));
        var finished = statistics.Finish();
        return keepsFeatures ? finished : new GaussianStatistics(finished.Mean, finished.Covariance, finished.Count);
    }

    /// <summary>Features from their description: hash_features("name", count, dims), perhaps times 1.25.</summary>
    private static float[] Computed(string description)
    {
        string[] parts = description.Split(['(', ')', ',', '"', ' '], StringSplitOptions.RemoveEmptyEntries);
        float[] features = HashFeatures.Make(parts[1], int.Parse(parts[2]), int.Parse(parts[3]));
        return parts.Length > 4 ? Array.ConvertAll(features, value => value * float.Parse(parts[5])) : features;
    }
}

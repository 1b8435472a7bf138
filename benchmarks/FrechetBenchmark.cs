using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>The Fréchet term of 2048 features on the processor, beside one matrix product of that size in double precision.</summary>
internal static class FrechetBenchmark
{
    private const int Dims = 2048;
    private const int Repeats = 5;

    /// <summary>Prints a table in Markdown.</summary>
    public static int Run()
    {
        using var device = Device.Open("cpu");
        var (few, many, reference) = (Statistics(device, 1, 1000), Statistics(device, 2, 3000), Statistics(device, 3, 4000));
        using Matrix a = new(device, Dims, Dims, many.Covariance), b = new(device, Dims, Dims, reference.Covariance);
        using var c = new Matrix(device, Dims, Dims);
        var product = new List<double>();
        var parts = new SortedDictionary<string, List<double>>(StringComparer.Ordinal);
        double[] work = new double[Dims * Dims];
        for (int repeat = 0; repeat <= Repeats; repeat++)
        {
            bool counts = repeat > 0;
            Measure("matrix product", () => c.SetProduct(a, b));
            Measure("matrix product, symmetric", () => c.SetProduct(a, a, transposeB: true, symmetric: true));
            Measure("Cholesky factor", () => Cholesky.Factor(reference.Covariance, Dims));
            c.ToArray().CopyTo(work, 0);
            Measure("eigenvalues", () => SymmetricMatrix.Eigenvalues(work, Dims));
            Measure("Fréchet term, 3000 and 4000 images", () => FrechetDistance.Compute(many, Fresh(reference), device));
            Measure("Fréchet term, 3000 and 4000 images, reference's factor kept", () => FrechetDistance.Compute(many, reference, device));
            Measure("Fréchet term, 1000 and 4000 images", () => FrechetDistance.Compute(few, reference, device));

            void Measure(string name, Action action)
            {
                long start = Stopwatch.GetTimestamp();
                action();
                double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                if (!counts)
                    return;
                if (!parts.TryGetValue(name, out var times))
                    parts[name] = times = [];
                times.Add(seconds);
            }
        }

        Console.WriteLine($"{device.Info.Name}, {device.Info.Driver}; {Dims} dims, {ForkJoinPool.Threads} threads, {Repeats} repeats\n");
        Console.WriteLine("| | best s | median s | best / best product | median / median product |\n|---|---|---|---|---|");
        double bestProduct = parts["matrix product"].Min(), medianProduct = Median(parts["matrix product"]);
        foreach (var (name, times) in parts.OrderBy(part => Median(part.Value)))
        {
            double best = times.Min(), median = Median(times);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {name} | {best:F3} | {median:F3} | {best / bestProduct:F1} | {median / medianProduct:F1} |"));
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\nThe product runs at {2.0 * Dims * Dims * Dims / bestProduct / 1e9:F0} GFLOP/s at best."));
        return 0;
    }

    private static double Median(List<double> times) => times.Order().ElementAt(times.Count / 2);

    private static GaussianStatistics Fresh(GaussianStatistics known) => new(known.Mean, known.Covariance, known.Count);

    /// <summary>Normal features whose deviations fall as i^-0.5 and whose neighbours are correlated.</summary>
    private static GaussianStatistics Statistics(Device device, uint stream, int count)
    {
        using var noise = device.NewTensor([count, Dims]);
        device.Backend.FillNormal(new RandomKey(11, stream, 0), noise);
        float[] features = noise.ToArray();
        for (int i = features.Length - 1; i >= 0; i--)
        {
            int feature = i % Dims;
            features[i] = (features[i] + (feature > 0 ? 0.5f * features[i - 1] : 0)) / MathF.Sqrt(feature + 1);
        }
        using var statistics = new FeatureStatistics(device, Dims);
        statistics.Add(features);
        return statistics.Finish();
    }
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>Mean and covariance of the features of a set of images: all that the Fréchet distance knows of it.</summary>
public sealed class GaussianStatistics
{
    /// <summary>What the halves of a stored covariance may differ by, relative to its largest value: it may have been rounded.</summary>
    private const double SymmetryTolerance = 1e-6;

    private readonly FactorSlot _factor;

    /// <summary>Takes the numbers over; the arrays must not be changed afterwards.</summary>
    /// <param name="mean">[dims].</param>
    /// <param name="covariance">[dims, dims], row-major, divided by count − 1; symmetric to 1e-6 of its largest value.</param>
    /// <param name="count">Images; null where unknown.</param>
    /// <exception cref="ArgumentException">The sizes do not fit, a value is not finite, a variance is negative, the covariance is not
    /// symmetric, or there are fewer than two images.</exception>
    public GaussianStatistics(double[] mean, double[] covariance, long? count = null)
        : this(mean, covariance, count, null)
    {
    }

    internal GaussianStatistics(double[] mean, double[] covariance, long? count, CovarianceFactor? factor)
    {
        ArgumentNullException.ThrowIfNull(mean);
        ArgumentNullException.ThrowIfNull(covariance);
        if (Fault(mean, covariance, count) is { } fault)
            throw new ArgumentException($"statistics: {fault.Got}; {fault.Wanted}");
        Mean = mean;
        Covariance = covariance;
        Count = count;
        for (int i = 0; i < Dims; i++)
            Trace += covariance[((long)i * Dims) + i];
        _factor = new FactorSlot(factor);
    }

    private GaussianStatistics(GaussianStatistics other)
        => (Mean, Covariance, Count, Trace, _factor) = (other.Mean, other.Covariance, other.Count, other.Trace, other._factor);

    /// <summary>Features per image.</summary>
    public int Dims => Mean.Length;

    /// <summary>Images that were averaged; null where a file does not say.</summary>
    public long? Count { get; }

    /// <summary>[dims].</summary>
    public double[] Mean { get; }

    /// <summary>[dims, dims], row-major, exactly symmetric.</summary>
    public double[] Covariance { get; }

    /// <summary>Sum of the variances.</summary>
    public double Trace { get; }

    /// <summary>Name of the recipe that the features were made by; null where unknown.</summary>
    public string? Recipe { get; init; }

    /// <summary>Identity of the weights that the features were made with; null where unknown.</summary>
    public string? Weights { get; init; }

    /// <summary>Whether the covariance's factor is the features themselves, which is exact where they are fewer than the dims.</summary>
    public bool KeepsFeatures => _factor.Value is { IsCholesky: false };

    /// <summary>Reads the file of pytorch-fid or clean-fid (mu, sigma), of denoising-diffusion-pytorch (m2, s2), or our own.</summary>
    /// <param name="path">An .npz file.</param>
    /// <exception cref="Kernels.Weights.WeightsException">The file is missing or damaged, lacks the arrays, or they are no statistics:
    /// wrong shapes, values that are not finite, a negative variance, an asymmetric matrix.</exception>
    public static GaussianStatistics Read(string path) => StatisticsFile.Read(path);

    /// <summary>The same statistics with the names of what made the features.</summary>
    /// <param name="recipe">Name of the recipe.</param>
    /// <param name="weights">Identity of the weights.</param>
    public GaussianStatistics MadeBy(string recipe, string weights) => new(this) { Recipe = recipe, Weights = weights };

    /// <summary>Writes mu (dims) and sigma (dims, dims) as 64-bit floats, readable by pytorch-fid and clean-fid, and beside them what is
    /// known of count, recipe and weights and the covariance's factor, which saves the next reader the work.</summary>
    /// <param name="path">The file to create or replace; it is written whole or not at all.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Write(string path) => StatisticsFile.Write(path, this);

    /// <summary>The covariance's factor, found at its first use and kept; null where the matrix is no covariance.</summary>
    /// <param name="device">Where to find it; null for the host.</param>
    internal CovarianceFactor? FactorOn(Device? device)
    {
        lock (_factor)
        {
            if (!_factor.IsKnown)
                _factor.Set(Cholesky.Factor(Covariance, Dims, device));
            return _factor.Value;
        }
    }

    /// <summary>What is wrong with mean and covariance, or null; a covariance that is symmetric to rounding is made exactly so.</summary>
    internal static (string Array, string Got, string Wanted)? Fault(double[] mean, double[] covariance, long? count)
    {
        int dims = mean.Length;
        if (dims == 0 || covariance.LongLength != (long)dims * dims)
            return ("sigma", $"{covariance.LongLength} values for a mean of {dims}", "expected a square matrix with the mean's length");
        if (count < 2)
            return ("count", $"made from {count} images", "a covariance needs at least two images");
        for (int i = 0; i < dims; i++)
        {
            if (!double.IsFinite(mean[i]))
                return ("mu", $"value {i} is {mean[i]}", "expected finite numbers: make the statistics again");
        }

        double largest = 0, difference = 0;
        long at = 0;
        for (long i = 0; i < dims; i++)
        {
            for (long j = 0; j <= i; j++)
            {
                double below = covariance[(i * dims) + j], above = covariance[(j * dims) + i];
                if (!double.IsFinite(below) || !double.IsFinite(above))
                {
                    return ("sigma", $"value [{i}, {j}] is {(double.IsFinite(below) ? above : below)}",
                        "expected finite numbers: make the statistics again");
                }

                largest = Math.Max(largest, Math.Abs(below));
                if (Math.Abs(below - above) > difference)
                    (difference, at) = (Math.Abs(below - above), (i * dims) + j);
            }
        }

        if (difference > SymmetryTolerance * largest)
        {
            return ("sigma", $"value [{at / dims}, {at % dims}] differs from its mirror image by {difference:G3}",
                "expected a symmetric matrix: a covariance");
        }

        for (long i = 0; i < dims; i++)
        {
            if (covariance[i * (dims + 1)] < 0)
                return ("sigma", $"variance {i} is {covariance[i * (dims + 1)]:G3}", "expected a covariance: no negative variances");
            for (long j = 0; j < i && difference > 0; j++)
                covariance[(i * dims) + j] = covariance[(j * dims) + i] = (covariance[(i * dims) + j] + covariance[(j * dims) + i]) / 2;
        }

        return null;
    }

    /// <summary>What copies of the same statistics share.</summary>
    private sealed class FactorSlot(CovarianceFactor? value)
    {
        public CovarianceFactor? Value { get; private set; } = value;

        public bool IsKnown { get; private set; } = value is not null;

        public void Set(CovarianceFactor? found) => (Value, IsKnown) = (found, true);
    }
}

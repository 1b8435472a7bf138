using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu;

/// <summary>What a learned variance costs: a step's divergence from its posterior, or at the last step the image's likelihood.</summary>
/// <remarks>Nichol and Dhariwal, 2021, section 3.1; denoising-diffusion-pytorch, LearnedGaussianDiffusion: in bits, with the mean held
/// constant. Means are in images' units, [-1, 1].</remarks>
internal sealed class VariationalBound(NoiseSchedule schedule)
{
    private const double Bit = 1 / 0.6931471805599453; // nats to bits
    private const double HalfLevel = 1.0 / 255; // images have 256 levels in [-1, 1]
    private const double Edge = 0.999; // beyond it, a value is black or white and stands for all beyond
    private const double SmallestProbability = 1e-15;
    private static readonly double CdfScale = Math.Sqrt(2 / Math.PI);

    /// <summary>The cost of one value in bits, and its derivative by what the network returned for the variance.</summary>
    /// <param name="t">The step.</param>
    /// <param name="clean">The value of the image.</param>
    /// <param name="predicted">What the network takes it for.</param>
    /// <param name="share">What the network returned: −1 for the posterior's variance, 1 for the step's own.</param>
    public (double Bits, double Derivative) Of(int t, float clean, double predicted, float share)
    {
        double smallest = schedule.PosteriorLogVariances.Span[t], range = Math.Log(schedule.Betas.Span[t]) - smallest;
        double logVariance = smallest + (0.5 * (share + 1.0) * range);
        // Image and estimate enter both means with the same factor, and the state cancels.
        double difference = schedule.PosteriorImageCoefficients.Span[t] * (clean - predicted);
        var (nats, derivative) = t == 0
            ? Likelihood(clean, clean - difference, logVariance)
            : Divergence(smallest, difference, logVariance);
        return (Bit * nats, Bit * derivative * 0.5 * range);
    }

    /// <summary>The Kullback-Leibler divergence of two normal distributions, and its derivative by the second's log-variance.</summary>
    private static (double Nats, double Derivative) Divergence(double logVariance, double difference, double otherLogVariance)
    {
        double ratio = Math.Exp(logVariance - otherLogVariance), distance = difference * difference * Math.Exp(-otherLogVariance);
        return (0.5 * (otherLogVariance - logVariance - 1 + ratio + distance), 0.5 * (1 - ratio - distance));
    }

    /// <summary>Minus the logarithm of the probability of the value's level, and its derivative by the log-variance.</summary>
    private static (double Nats, double Derivative) Likelihood(double value, double mean, double logVariance)
    {
        double inverse = Math.Exp(-0.5 * logVariance);
        double above = inverse * (value - mean + HalfLevel), below = inverse * (value - mean - HalfLevel);
        double probability = value < -Edge ? Cdf(above) : value > Edge ? 1 - Cdf(below) : Cdf(above) - Cdf(below);
        if (probability < SmallestProbability)
            return (-Math.Log(SmallestProbability), 0);
        // d(above)/d(logVariance) = −above / 2, and alike below.
        double slope = (value > Edge ? 0 : Density(above) * above) - (value < -Edge ? 0 : Density(below) * below);
        return (-Math.Log(probability), 0.5 * slope / probability);
    }

    /// <summary>The tanh approximation of the normal distribution function that the reference uses.</summary>
    private static double Cdf(double x) => 0.5 * (1 + Math.Tanh(CdfScale * (x + (0.044715 * x * x * x))));

    private static double Density(double x)
    {
        double tanh = Math.Tanh(CdfScale * (x + (0.044715 * x * x * x)));
        return 0.5 * (1 - (tanh * tanh)) * CdfScale * (1 + (3 * 0.044715 * x * x));
    }
}

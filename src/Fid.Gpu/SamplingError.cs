using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>How far a Fréchet distance is off because it was made from so many images and not more.</summary>
/// <remarks>
/// The distance of N images is too large by about c / N (Chong and Forsyth, 2020). Halves of the sets are too large by twice that: 2 F(N) −
/// mean F(N/2) is free of it, if N is well above the dims; that is the jackknife of two groups, and unlike a formula for Gaussian features
/// it does not mind heavy tails. Deviations shrink as 1 / √N: those of the quarters give the standard error, of the distance and, to first
/// order, of the extrapolated value alike. Of four numbers, it is itself uncertain by some 40 %.
/// </remarks>
internal static class SamplingError
{
    /// <summary>With fewer images for each dim the covariances of halves are too poor to extrapolate from.</summary>
    public const double LeastImagesPerDim = 2.5;

    /// <summary>Estimates the distance for any number of images, and its standard error.</summary>
    /// <param name="value">The distance of the whole sets.</param>
    /// <param name="a">Parts of one side.</param>
    /// <param name="b">Parts of the other.</param>
    /// <param name="device">Where products run.</param>
    public static SamplingEstimate Estimate(double value, SetParts a, SetParts b, Device device)
    {
        double halves = a.Halves.Zip(b.Halves, Distance).Average();
        double[] quarters = [.. a.Quarters.Zip(b.Quarters, Distance)];
        double mean = quarters.Average(), variance = quarters.Sum(quarter => (quarter - mean) * (quarter - mean)) / (quarters.Length - 1);
        return new SamplingEstimate((2 * value) - halves, Math.Sqrt(variance / quarters.Length));

        double Distance(GaussianStatistics one, GaussianStatistics other) => FrechetDistance.Compute(one, other, device).Value;
    }
}

/// <summary>What is left of a distance when the number of images is thought away.</summary>
/// <param name="Value">The extrapolated distance; may be below 0 by a few standard errors.</param>
/// <param name="StandardError">Standard deviation from one draw of the images to another.</param>
internal readonly record struct SamplingEstimate(double Value, double StandardError);

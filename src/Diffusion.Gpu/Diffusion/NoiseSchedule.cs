namespace Diffusion.Gpu;

/// <summary>How noise grows over the steps of a process.</summary>
public enum BetaSchedule
{
    /// <summary>β grows linearly (Ho et al., 2020).</summary>
    Linear,

    /// <summary>The signal's share follows a squared cosine (Nichol and Dhariwal, 2021).</summary>
    Cosine,

    /// <summary>The signal's share follows a sigmoid (Jabri et al., 2022).</summary>
    Sigmoid,
}

/// <summary>The noise variances of a process and everything derived from them, one value per step t = 0 … T − 1.</summary>
/// <remarks>denoising-diffusion-pytorch, GaussianDiffusion: computed with 64 bits and rounded once. Images span [-1, 1]; a noisy image is
/// √ᾱ·image + √(1 − ᾱ)·noise.</remarks>
public sealed class NoiseSchedule
{
    private const double SmallestVariance = 1e-20;
    private const double LargestBeta = 0.999;
    private readonly double[] _betas;
    private readonly double[] _alphaBars;

    private NoiseSchedule(double[] betas)
    {
        _betas = betas;
        _alphaBars = new double[betas.Length];
        double product = 1;
        for (int t = 0; t < betas.Length; t++)
            _alphaBars[t] = product *= 1 - betas[t];
        Betas = Each(t => _betas[t]);
        AlphaBars = Each(AlphaBar);
        PreviousAlphaBars = Each(Previous);
        SqrtAlphaBars = Each(t => Math.Sqrt(AlphaBar(t)));
        SqrtOneMinusAlphaBars = Each(t => Math.Sqrt(1 - AlphaBar(t)));
        LogOneMinusAlphaBars = Each(t => Math.Log(1 - AlphaBar(t)));
        SqrtReciprocalAlphaBars = Each(t => Math.Sqrt(1 / AlphaBar(t)));
        SqrtReciprocalAlphaBarsMinusOne = Each(t => Math.Sqrt((1 / AlphaBar(t)) - 1));
        PosteriorVariances = Each(PosteriorVariance);
        PosteriorLogVariances = Each(t => Math.Log(Math.Max(PosteriorVariance(t), SmallestVariance)));
        PosteriorImageCoefficients = Each(t => _betas[t] * Math.Sqrt(Previous(t)) / (1 - AlphaBar(t)));
        PosteriorStateCoefficients = Each(t => (1 - Previous(t)) * Math.Sqrt(1 - _betas[t]) / (1 - AlphaBar(t)));
    }

    /// <summary>T, the number of steps.</summary>
    public int Timesteps => _betas.Length;

    /// <summary>β: the variance of the noise that a step adds.</summary>
    public ReadOnlyMemory<float> Betas { get; }

    /// <summary>ᾱ: the signal's share of the variance after a step.</summary>
    public ReadOnlyMemory<float> AlphaBars { get; }

    /// <summary>ᾱ before a step; 1 before the first.</summary>
    public ReadOnlyMemory<float> PreviousAlphaBars { get; }

    /// <summary>√ᾱ.</summary>
    public ReadOnlyMemory<float> SqrtAlphaBars { get; }

    /// <summary>√(1 − ᾱ).</summary>
    public ReadOnlyMemory<float> SqrtOneMinusAlphaBars { get; }

    /// <summary>ln(1 − ᾱ).</summary>
    public ReadOnlyMemory<float> LogOneMinusAlphaBars { get; }

    /// <summary>√(1/ᾱ).</summary>
    public ReadOnlyMemory<float> SqrtReciprocalAlphaBars { get; }

    /// <summary>√(1/ᾱ − 1), the noise's standard deviation over the signal's.</summary>
    public ReadOnlyMemory<float> SqrtReciprocalAlphaBarsMinusOne { get; }

    /// <summary>β̃: the variance of the previous state, given the image and the state.</summary>
    public ReadOnlyMemory<float> PosteriorVariances { get; }

    /// <summary>ln β̃, at least ln 1e-20.</summary>
    public ReadOnlyMemory<float> PosteriorLogVariances { get; }

    /// <summary>What the image is multiplied by in the mean of the previous state.</summary>
    public ReadOnlyMemory<float> PosteriorImageCoefficients { get; }

    /// <summary>What the state is multiplied by in the mean of the previous state.</summary>
    public ReadOnlyMemory<float> PosteriorStateCoefficients { get; }

    /// <summary>Makes a schedule with its published constants.</summary>
    public static NoiseSchedule Create(BetaSchedule schedule, int timesteps) => schedule switch
    {
        BetaSchedule.Linear => Linear(timesteps),
        BetaSchedule.Cosine => Cosine(timesteps),
        BetaSchedule.Sigmoid => Sigmoid(timesteps),
        _ => throw new ArgumentOutOfRangeException(nameof(schedule), schedule, "no such schedule"),
    };

    /// <summary>β from 1e-4 to 0.02 at 1000 steps, scaled by 1000 / steps otherwise.</summary>
    /// <param name="timesteps">At least 21: fewer would need β ≥ 1.</param>
    public static NoiseSchedule Linear(int timesteps)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timesteps, FewestTimesteps(BetaSchedule.Linear));
        double first = 1e-4 * 1000 / timesteps, last = 0.02 * 1000 / timesteps;
        return new([.. Enumerable.Range(0, timesteps).Select(t => first + ((last - first) * t / (timesteps - 1)))]);
    }

    /// <summary>ᾱ(u) = cos²((u + s) / (1 + s) · π/2), relative to ᾱ(0).</summary>
    /// <param name="timesteps">At least 1.</param>
    /// <param name="offset">s, which keeps the first β from vanishing.</param>
    public static NoiseSchedule Cosine(int timesteps, double offset = 0.008)
        => FromAlphaBar(timesteps, u => Math.Pow(Math.Cos((u + offset) / (1 + offset) * Math.PI * 0.5), 2));

    /// <summary>ᾱ(u) = (σ(end/τ) − σ(x/τ)) / (σ(end/τ) − σ(start/τ)) with x from start to end, relative to ᾱ(0).</summary>
    /// <param name="timesteps">At least 1.</param>
    /// <param name="start">Where on the sigmoid the process begins.</param>
    /// <param name="end">Where it ends.</param>
    /// <param name="tau">Stretches the sigmoid.</param>
    /// <remarks>The reference evaluates the two ends with 32 bits, and so does this: with 64 the last β differ by 1e-5.</remarks>
    public static NoiseSchedule Sigmoid(int timesteps, double start = -3, double end = 3, double tau = 1)
    {
        float low = (float)Logistic(start / tau), high = (float)Logistic(end / tau);
        return FromAlphaBar(timesteps, u => (high - Logistic(((u * (end - start)) + start) / tau)) / (high - low));
    }

    /// <summary>The fewest steps that a schedule makes sense for.</summary>
    internal static int FewestTimesteps(BetaSchedule schedule) => schedule == BetaSchedule.Linear ? 21 : 1;

    /// <summary>ᾱ of a step, not rounded to 32 bits; 1 for t = −1, before the first step.</summary>
    internal double AlphaBar(int t) => t < 0 ? 1 : _alphaBars[t];

    /// <summary>β of a step, not rounded to 32 bits.</summary>
    internal double Beta(int t) => _betas[t];

    private double Previous(int t) => AlphaBar(t - 1);

    private double PosteriorVariance(int t) => _betas[t] * (1 - Previous(t)) / (1 - AlphaBar(t));

    private static NoiseSchedule FromAlphaBar(int timesteps, Func<double, double> alphaBar)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timesteps, 1);
        double first = alphaBar(0);
        double At(int k) => alphaBar((double)k / timesteps) / first;
        return new([.. Enumerable.Range(0, timesteps).Select(t => Math.Clamp(1 - (At(t + 1) / At(t)), 0, LargestBeta))]);
    }

    private static double Logistic(double x) => 1 / (1 + Math.Exp(-x));

    private float[] Each(Func<int, double> value) => [.. Enumerable.Range(0, Timesteps).Select(t => (float)value(t))];
}

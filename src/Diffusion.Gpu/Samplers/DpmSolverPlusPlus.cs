namespace Diffusion.Gpu.Samplers;

/// <summary>Follows the process's differential equation backwards by a second-order multistep method, in few steps.</summary>
/// <remarks>Lu et al., 2022 (DPM-Solver++), algorithm 2 (2M), in terms of the noise-to-signal ratio σ = √((1 − ᾱ)/ᾱ) and λ = −ln σ. Steps
/// are uniform in λ, rounded to those that the network was trained at. They begin where σ first falls to 80: above, an image is noise,
/// and the schedules' ends (σ of 1,800 and 20,000) would cost steps. No noise is added.</remarks>
public sealed class DpmSolverPlusPlus : Sampler
{
    private const double LargestSigma = 80;

    /// <summary>Plans the steps.</summary>
    /// <param name="diffusion">The process.</param>
    /// <param name="steps">Runs of the network, 1 to the process's steps.</param>
    /// <exception cref="OptionsException">steps cannot be used.</exception>
    public DpmSolverPlusPlus(GaussianDiffusion diffusion, int steps)
        : base(diffusion, PlanOf(diffusion, steps))
    {
    }

    /// <summary>The visited steps, from the noisiest to 0.</summary>
    internal static int[] Times(NoiseSchedule schedule, int steps)
    {
        int first = schedule.Timesteps - 1;
        while (first > steps - 1 && Sigma(schedule, first) > LargestSigma)
            first--;
        double from = Math.Log(Sigma(schedule, first)), to = Math.Log(Sigma(schedule, 0));
        var times = new int[steps];
        for (int i = 0, t = first; i < steps; i++, t--)
        {
            // The nearest step, but below the one before, and leaving one for each to come.
            double wanted = steps == 1 ? from : from + ((to - from) * i / (steps - 1));
            while (t > steps - 1 - i && Distance(t - 1, wanted) <= Distance(t, wanted))
                t--;
            times[i] = t;
        }
        return times;

        double Distance(int t, double logSigma) => Math.Abs(Math.Log(Sigma(schedule, t)) - logSigma);
    }

    private static double Sigma(NoiseSchedule schedule, int t) => Math.Sqrt((1 - schedule.AlphaBar(t)) / schedule.AlphaBar(t));

    private static IEnumerable<SamplerStep> PlanOf(GaussianDiffusion diffusion, int steps)
    {
        ArgumentNullException.ThrowIfNull(diffusion);
        var schedule = diffusion.Schedule;
        OptionsException.ThrowUnless(steps >= 1 && steps <= schedule.Timesteps, "steps", steps, $"1 to timesteps = {schedule.Timesteps}");
        return PlanOf(schedule, Times(schedule, steps));
    }

    private static IEnumerable<SamplerStep> PlanOf(NoiseSchedule schedule, int[] times)
    {
        double lastStep = double.PositiveInfinity; // Δλ of the step before; the first step has none and is of first order
        for (int i = 0; i < times.Length - 1; i++)
        {
            int t = times[i], next = times[i + 1];
            double shrink = Sigma(schedule, next) / Sigma(schedule, t), step = -Math.Log(shrink);
            double signal = Math.Sqrt(schedule.AlphaBar(next));
            double extrapolation = step / (2 * lastStep);
            yield return new SamplerStep(t, signal * (1 - shrink) * (1 + extrapolation),
                shrink * signal / Math.Sqrt(schedule.AlphaBar(t)), Previous: -signal * (1 - shrink) * extrapolation);
            lastStep = step;
        }
        yield return new SamplerStep(times[^1], Image: 1, State: 0); // to σ = 0
    }
}

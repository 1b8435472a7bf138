namespace Diffusion.Gpu.Samplers;

/// <summary>Reverses the process in fewer, larger steps.</summary>
/// <remarks>Song et al., 2020 (DDIM), equation 12; denoising-diffusion-pytorch, ddim_sample: the noise is derived anew from the clamped
/// image.</remarks>
public sealed class Ddim : Sampler
{
    /// <summary>Plans the steps.</summary>
    /// <param name="diffusion">The process.</param>
    /// <param name="steps">Runs of the network, 1 to the process's steps.</param>
    /// <param name="eta">0 adds no noise, 1 as much as the process.</param>
    /// <exception cref="OptionsException">steps or eta cannot be used.</exception>
    public Ddim(GaussianDiffusion diffusion, int steps, float eta = 0)
        : base(diffusion, PlanOf(diffusion, steps, eta))
    {
    }

    /// <summary>The visited steps from the noisiest to −1, the image: −1 + T·i / steps, truncated.</summary>
    internal static int[] Times(int timesteps, int steps)
        => [.. Enumerable.Range(0, steps + 1).Select(i => (int)((((long)timesteps * i) - steps) / steps)).Reverse()];

    private static IEnumerable<SamplerStep> PlanOf(GaussianDiffusion diffusion, int steps, float eta)
    {
        ArgumentNullException.ThrowIfNull(diffusion);
        var schedule = diffusion.Schedule;
        OptionsException.ThrowUnless(steps >= 1 && steps <= schedule.Timesteps, "steps", steps, $"1 to timesteps = {schedule.Timesteps}");
        OptionsException.ThrowUnless(eta is >= 0 and <= 1, "eta", eta, "0 to 1");
        int[] times = Times(schedule.Timesteps, steps);
        return times.Zip(times.Skip(1), (t, next) => StepOf(schedule, t, next, eta));
    }

    private static SamplerStep StepOf(NoiseSchedule schedule, int t, int next, double eta)
    {
        if (next < 0)
            return new SamplerStep(t, Image: 1, State: 0);
        double alpha = schedule.AlphaBars.Span[t], nextAlpha = schedule.AlphaBars.Span[next];
        double sigma = eta * Math.Sqrt((1 - (alpha / nextAlpha)) * (1 - nextAlpha) / (1 - alpha));
        // The noise (√(1/ᾱ)·state − image) / √(1/ᾱ − 1), times what is left of the next state's noise, in terms of state and image.
        double ratio = schedule.SqrtReciprocalAlphaBarsMinusOne.Span[t];
        double noise = Math.Sqrt(Math.Max(1 - nextAlpha - (sigma * sigma), 0)) / ratio;
        return new SamplerStep(t, Math.Sqrt(nextAlpha) - noise, noise * schedule.SqrtReciprocalAlphaBars.Span[t], Noise: sigma);
    }
}

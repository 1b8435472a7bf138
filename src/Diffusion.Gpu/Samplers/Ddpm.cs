using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Samplers;

/// <summary>Reverses every step of the process, adding the noise that the posterior has.</summary>
/// <remarks>Ho et al., 2020, algorithm 2; denoising-diffusion-pytorch, p_sample_loop. Networks that learned the variance set the noise of
/// each value (Nichol and Dhariwal, 2021, equation 15).</remarks>
public sealed class Ddpm : Sampler
{
    /// <summary>Plans one step per step of the process.</summary>
    public Ddpm(GaussianDiffusion diffusion)
        : base(diffusion, PlanOf(diffusion))
    {
    }

    /// <summary>Mixes two batches of images part of the way into noise and lets the network find what lies between.</summary>
    /// <param name="unet">A network that was trained for the process.</param>
    /// <param name="first">[N, H, W, C] in [0, 1], or [-1, 1] without auto-normalize.</param>
    /// <param name="second">The shape of first.</param>
    /// <param name="weight">Share of the second: 0 is near the first, 1 near the second.</param>
    /// <param name="seed">Decides the noise.</param>
    /// <param name="time">How far into noise, in steps; null for all but one. More steps keep less of the images.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellation">Heard between steps.</param>
    /// <returns>[N, H, W, C] in the range of the inputs; the caller disposes it.</returns>
    /// <exception cref="OptionsException">The network's options do not fit the process, or there is no such step.</exception>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <remarks>Ho et al., 2020, figure 8. The reference's interpolate leaves its inputs in [0, 1], where the process never was.</remarks>
    public Tensor Interpolate(Unet unet, Tensor first, Tensor second, float weight, ulong seed, int? time = null,
        IProgress<SamplingProgress>? progress = null, CancellationToken cancellation = default)
        => Interpolate(unet, first, second, weight, new KeyedNoise(seed, RandomStream.Interpolation, 0), time,
            new SamplingWatch(progress, Cancellation: cancellation));

    internal Tensor Interpolate(Unet unet, Tensor first, Tensor second, float weight, INoiseSource noise, int? time, SamplingWatch watch)
    {
        ArgumentNullException.ThrowIfNull(unet);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        Diffusion.Options.CheckFits(unet.Options);
        int last = Diffusion.Options.Timesteps - 1, t = time ?? last;
        OptionsException.ThrowUnless(t >= 1 && t <= last, "time", t, $"1 to {last}");
        using var tape = first.Device.NewTape(recording: false);
        int n = first.Shape[0];
        var times = Enumerable.Repeat(t, n).ToArray();
        var noisyFirst = Diffusion.Maps.Noisy(tape, Diffusion.Normalise(tape, first), noise.Draw(tape, first.Shape, 0), times);
        var noisySecond = Diffusion.Maps.Noisy(tape, Diffusion.Normalise(tape, second), noise.Draw(tape, first.Shape, 1), times);
        float[] shares = [.. Enumerable.Repeat<float[]>([1 - weight, weight, 0], n).SelectMany(c => c)];
        var state = tape.LinearCombination(tape.Constant([n, 3], shares), noisyFirst, noisySecond);
        return Run(unet, tape.Keep(state), [.. Plan.Skip(Plan.Count - t)], noise, 2, watch);
    }

    /// <summary>Stretches the posterior's noise by the learned share of the way from its log-variance to the step's own.</summary>
    private protected override Tensor LearnedNoise(Tape tape, int time, Tensor z, Tensor variance)
    {
        double range = Math.Log(Diffusion.Schedule.Betas.Span[time]) - Diffusion.Schedule.PosteriorLogVariances.Span[time];
        float[] values = z.ToArray(), shares = variance.ToArray();
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(values[i] * Math.Exp(0.25 * (shares[i] + 1.0) * range));
        return tape.Constant(z.Shape, values);
    }

    private static IEnumerable<SamplerStep> PlanOf(GaussianDiffusion diffusion)
    {
        ArgumentNullException.ThrowIfNull(diffusion);
        var schedule = diffusion.Schedule;
        for (int t = schedule.Timesteps - 1; t >= 0; t--)
        {
            double deviation = Math.Exp(0.5 * schedule.PosteriorLogVariances.Span[t]);
            yield return new SamplerStep(t, schedule.PosteriorImageCoefficients.Span[t], schedule.PosteriorStateCoefficients.Span[t],
                Noise: t > 0 ? deviation : 0);
        }
    }
}

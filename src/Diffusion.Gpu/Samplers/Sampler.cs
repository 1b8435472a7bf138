using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Samplers;

/// <summary>Turns noise into images, from the noisiest step to none.</summary>
/// <remarks>An image is a function of the weights, the seed and its index: the same bits for any batch size.</remarks>
public abstract class Sampler
{
    private readonly SamplerStep[] _plan;

    private protected Sampler(GaussianDiffusion diffusion, IEnumerable<SamplerStep> plan)
    {
        Diffusion = diffusion;
        _plan = [.. plan];
    }

    /// <summary>The process that is reversed.</summary>
    public GaussianDiffusion Diffusion { get; }

    /// <summary>How often the network is run.</summary>
    public int Steps => _plan.Length;

    internal IReadOnlyList<SamplerStep> Plan => _plan;

    /// <summary>The names that <see cref="Named"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = ["ddim", "ddpm", "dpm++2m"];

    /// <summary>A sampler by its name.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="diffusion">The process.</param>
    /// <param name="steps">Runs of the network; ddpm takes every step of the process.</param>
    /// <param name="eta">Noise of ddim.</param>
    /// <exception cref="OptionsException">There is no such sampler, or steps or eta cannot be used.</exception>
    public static Sampler Named(string name, GaussianDiffusion diffusion, int steps, float eta = 0) => name switch
    {
        "ddim" => new Ddim(diffusion, steps, eta),
        "ddpm" => new Ddpm(diffusion),
        "dpm++2m" => new DpmSolverPlusPlus(diffusion, steps),
        _ => throw new OptionsException("sampler", name, $"one of {string.Join(", ", Names)}"),
    };

    /// <summary>The process's own sampler: DDIM where it asks for fewer steps than it has, else DDPM.</summary>
    public static Sampler For(GaussianDiffusion diffusion)
    {
        ArgumentNullException.ThrowIfNull(diffusion);
        var options = diffusion.Options;
        return options.SamplingTimesteps is { } steps && steps < options.Timesteps
            ? new Ddim(diffusion, steps, options.DdimSamplingEta)
            : new Ddpm(diffusion);
    }

    /// <summary>Draws a batch of images.</summary>
    /// <param name="unet">A network that was trained for the process; its device does the work.</param>
    /// <param name="count">N.</param>
    /// <param name="seed">Decides the images.</param>
    /// <param name="firstIndex">Index of the first image: 16 images from 0 are 8 from 0 and 8 from 8.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellation">Heard between steps.</param>
    /// <returns>[N, H, W, C] in [0, 1], or [-1, 1] without auto-normalize; the caller disposes it.</returns>
    /// <exception cref="OptionsException">The network's options do not fit the process.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public Tensor Sample(Unet unet, int count, ulong seed, uint firstIndex = 0, IProgress<SamplingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        var watch = new SamplingWatch(progress, Cancellation: cancellation);
        return Sample(unet, count, new KeyedNoise(seed, RandomStream.Sampling, firstIndex), watch);
    }

    internal Tensor Sample(Unet unet, int count, INoiseSource noise, SamplingWatch watch)
    {
        ArgumentNullException.ThrowIfNull(unet);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Diffusion.Options.CheckFits(unet.Options);
        var size = Diffusion.Options.ImageSize;
        using var tape = unet.Parameters.Device.NewTape(recording: false);
        var state = noise.Draw(tape, [count, size.Height, size.Width, unet.Options.Channels], 0);
        return Run(unet, tape.Keep(state), _plan, noise, 1, watch);
    }

    /// <summary>Takes the steps of a plan.</summary>
    /// <param name="state">What the plan begins with; disposed.</param>
    /// <param name="draw">Which draw of the noise the first step makes.</param>
    private protected Tensor Run(Unet unet, Tensor state, ReadOnlySpan<SamplerStep> plan, INoiseSource noise, int draw, SamplingWatch watch)
    {
        Tensor? image = null;
        try
        {
            watch.Observe?.Invoke(state);
            for (int i = 0; i < plan.Length; i++)
            {
                watch.Cancellation.ThrowIfCancellationRequested();
                using var tape = state.Device.NewTape(recording: false);
                var (seen, next) = Advance(tape, unet, state, image, plan[i], noise, draw + i);
                image?.Dispose();
                image = tape.Keep(seen);
                state.Dispose();
                state = tape.Keep(next);
                watch.Observe?.Invoke(state);
                watch.Progress?.Report(new SamplingProgress(i + 1, plan.Length));
            }
            using var last = state.Device.NewTape(recording: false);
            return last.Keep(Diffusion.Denormalise(last, state));
        }
        finally
        {
            image?.Dispose();
            state.Dispose();
        }
    }

    /// <summary>What a network that learned the variance makes of the noise.</summary>
    /// <param name="z">Standard normal.</param>
    /// <param name="variance">What the network returned beside the image, of the same shape.</param>
    private protected virtual Tensor LearnedNoise(Tape tape, int time, Tensor z, Tensor variance) => z;

    private (Tensor Image, Tensor State) Advance(Tape tape, Unet unet, Tensor state, Tensor? previous, in SamplerStep step,
        INoiseSource noise, int draw)
    {
        int n = state.Shape[0];
        var times = Enumerable.Repeat(step.Time, n).ToArray();
        var selfCondition = unet.Options.SelfCondition ? previous : null;
        var (image, variance) = Diffusion.Predict(tape, unet, state, times, selfCondition, clamp: 1);
        var third = step.Previous != 0 ? previous : null;
        if (step.Noise != 0)
        {
            third = noise.Draw(tape, state.Shape, draw);
            third = variance is null ? third : LearnedNoise(tape, step.Time, third, variance);
        }
        float[] factors = [(float)step.Image, (float)step.State, (float)(step.Noise + step.Previous)];
        var coefficients = tape.Constant([n, 3], [.. Enumerable.Repeat(factors, n).SelectMany(f => f)]);
        return (image, tape.LinearCombination(coefficients, image, state, third));
    }
}

/// <summary>Who is told what while a sampler works.</summary>
/// <param name="Progress">Told after each step.</param>
/// <param name="Observe">Sees the first state and the state after each step.</param>
/// <param name="Cancellation">Heard between steps.</param>
internal readonly record struct SamplingWatch(IProgress<SamplingProgress>? Progress = null, Action<Tensor>? Observe = null,
    CancellationToken Cancellation = default);

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu;

/// <summary>The process that turns images into noise step by step, and the loss that trains a network to turn it back.</summary>
/// <remarks>Ho et al., 2020; denoising-diffusion-pytorch, GaussianDiffusion. The process holds no memory on any device.</remarks>
public sealed class GaussianDiffusion
{
    private readonly float[] _lossWeights;
    private readonly LearnedVarianceLoss _learnedVariance;

    /// <summary>Computes the schedule.</summary>
    /// <param name="options">The process.</param>
    /// <exception cref="OptionsException">An option cannot be used.</exception>
    public GaussianDiffusion(DiffusionOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Options = options;
        Schedule = NoiseSchedule.Create(options.BetaSchedule, options.Timesteps);
        Maps = new NoiseMaps(Schedule);
        _learnedVariance = new LearnedVarianceLoss(Schedule, Maps);
        _lossWeights = LossWeight.Of(Schedule, options.Objective, options.MinSnrLossWeight ? options.MinSnrGamma : null);
    }

    /// <summary>The process.</summary>
    public DiffusionOptions Options { get; }

    /// <summary>The noise variances.</summary>
    public NoiseSchedule Schedule { get; }

    /// <summary>How much the squared error of each step counts.</summary>
    public ReadOnlyMemory<float> LossWeights => _lossWeights;

    internal NoiseMaps Maps { get; }

    /// <summary>The loss of a batch whose times and noises are drawn.</summary>
    /// <param name="tape">Records the loss where it is to be trained.</param>
    /// <param name="unet">The network.</param>
    /// <param name="images">[N, H, W, C] in [0, 1], or [-1, 1] without auto-normalize.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="microStep">Which batch of the run this is; with the seed it decides every random number, dropout's included.</param>
    /// <returns>[1].</returns>
    /// <exception cref="OptionsException">The network's options do not fit the process.</exception>
    /// <exception cref="ShapeException">The images do not fit the network or the process.</exception>
    public Tensor Loss(Tape tape, Unet unet, Tensor images, ulong seed, uint microStep)
    {
        ArgumentNullException.ThrowIfNull(tape);
        ArgumentNullException.ThrowIfNull(unet);
        ArgumentNullException.ThrowIfNull(images);
        RandomKey Key(uint stream) => new(seed, stream, microStep);
        using var scope = tape.Scope();
        var times = new int[images.Shape[0]];
        for (int i = 0; i < times.Length; i++)
            times[i] = Philox.Integer(Key(RandomStream.Times), (uint)i, 0, Options.Timesteps);
        var draws = new TrainingDraws(times, tape.Normal(images.Shape, Key(RandomStream.Noise)))
        {
            Offset = Options.OffsetNoiseStrength > 0 ? tape.Normal([times.Length, images.Shape[3]], Key(RandomStream.OffsetNoise)) : null,
            SelfConditions = unet.Options.SelfCondition && Philox.Uniform(Key(RandomStream.SelfCondition), 0, 0) < 0.5f,
            Dropout = Key(RandomStream.Dropout),
        };
        return scope.Keep(Loss(tape, unet, images, draws));
    }

    /// <summary>The loss of a batch whose random numbers are given.</summary>
    internal Tensor Loss(Tape tape, Unet unet, Tensor images, TrainingDraws draws)
    {
        Options.CheckFits(unet.Options);
        CheckImages(images);
        using var scope = tape.Scope();
        var clean = Normalise(tape, images);
        var noise = Noise(tape, clean, draws);
        var noisy = Maps.Noisy(tape, clean, noise, draws.Times);
        using var estimate = draws.SelfConditions ? Estimate(unet, noisy, draws) : null;
        var output = unet.Forward(tape, noisy, TimesOf(tape, draws.Times), estimate, draws.Dropout);
        var target = Maps.Target(tape, Options.Objective, clean, noise, draws.Times);
        float[] weights = Array.ConvertAll(draws.Times, t => _lossWeights[t]);
        return scope.Keep(unet.Options.LearnedVariance
            ? _learnedVariance.Loss(tape, Options.Objective, output, target, weights, clean, noisy, draws.Times)
            : tape.MeanSquaredError(output, target, tape.Constant([weights.Length], weights)));
    }

    /// <summary>Brings images in [0, 1] to [-1, 1] where the process does so.</summary>
    internal Tensor Normalise(Tape tape, Tensor images) => Options.AutoNormalize ? Affine(tape, images, 2, -1) : images;

    /// <summary>Brings images in [-1, 1] to [0, 1] where the process does so.</summary>
    internal Tensor Denormalise(Tape tape, Tensor images) => Options.AutoNormalize ? Affine(tape, images, 0.5f, 0.5f) : images;

    /// <summary>What the noisy images of a batch are made with: offset and permutation applied.</summary>
    internal Tensor Noise(Tape tape, Tensor clean, TrainingDraws draws)
    {
        var noise = draws.Offset is { } offset ? tape.AddOffsetNoise(draws.Noise, offset, Options.OffsetNoiseStrength) : draws.Noise;
        if (!Options.Immiscible)
            return noise;
        // Unlike the reference, which permutes for the network's input only, the target is made with the permuted noise too.
        int n = clean.Shape[0], length = (int)(clean.Count / n);
        float[] noises = noise.ToArray(), permuted = new float[noises.Length];
        int[] assignment = NoiseAssignment.Nearest(clean.ToArray(), noises, n);
        for (int i = 0; i < n; i++)
            noises.AsSpan(assignment[i] * length, length).CopyTo(permuted.AsSpan(i * length));
        return tape.Constant(clean.Shape, permuted);
    }

    /// <summary>The image that a network sees in noisy ones, and what it says of the variance where it learned it; no gradient.</summary>
    /// <param name="clamp">Limits the image to [−clamp, clamp].</param>
    internal (Tensor Image, Tensor? Variance) Predict(Tape tape, Unet unet, Tensor noisy, int[] times, Tensor? selfCondition, float clamp,
        RandomKey? dropout = null)
    {
        var output = unet.Forward(tape, noisy, TimesOf(tape, times), selfCondition, dropout);
        Tensor? variance = null;
        if (unet.Options.LearnedVariance)
            (output, variance) = tape.Split(output, unet.Options.Channels);
        return (Maps.Image(tape, Options.Objective, noisy, output, times, clamp), variance);
    }

    internal static Tensor TimesOf(Tape tape, int[] times) => tape.Constant([times.Length], Array.ConvertAll(times, t => (float)t));

    private void CheckImages(Tensor images)
    {
        if (images.Shape.Rank != 4 || images.Shape[1] != Options.ImageSize.Height || images.Shape[2] != Options.ImageSize.Width)
        {
            throw new ShapeException(nameof(GaussianDiffusion), nameof(images), images.Shape.ToString(),
                $"[N, {Options.ImageSize.Height}, {Options.ImageSize.Width}, C]");
        }
    }

    /// <summary>The network's first look at the images, which it then sees beside them; no gradient flows through it.</summary>
    private Tensor Estimate(Unet unet, Tensor noisy, TrainingDraws draws)
    {
        using var tape = noisy.Device.NewTape(recording: false);
        return tape.Keep(Predict(tape, unet, noisy, draws.Times, null, float.PositiveInfinity, draws.Dropout).Image);
    }

    private static Tensor Affine(Tape tape, Tensor images, float factor, float shift)
    {
        int channels = images.Shape[^1], n = images.Shape[0];
        var scaleShift = new float[n * 2 * channels];
        for (int i = 0; i < scaleShift.Length; i++)
            scaleShift[i] = i / channels % 2 == 0 ? factor - 1 : shift;
        return tape.ScaleShift(images, tape.Constant([n, 2 * channels], scaleShift));
    }
}

/// <summary>The random numbers of one training batch.</summary>
/// <param name="Times">A step per image.</param>
/// <param name="Noise">[N, H, W, C], standard normal.</param>
internal sealed record TrainingDraws(int[] Times, Tensor Noise)
{
    /// <summary>[N, C], standard normal; null for no offset noise.</summary>
    public Tensor? Offset { get; init; }

    /// <summary>Whether the network sees its own estimate.</summary>
    public bool SelfConditions { get; init; }

    /// <summary>Dropout's random numbers; null drops nothing.</summary>
    public RandomKey? Dropout { get; init; }
}

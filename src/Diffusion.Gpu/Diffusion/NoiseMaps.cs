using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu;

/// <summary>The maps between image, noise, velocity and noisy image, each with one coefficient set per sample's step.</summary>
/// <remarks>NHWC tensors of images in [-1, 1]. Times are steps, one per sample.</remarks>
internal sealed class NoiseMaps(NoiseSchedule schedule)
{
    private readonly float[] _signal = schedule.SqrtAlphaBars.ToArray();
    private readonly float[] _noise = schedule.SqrtOneMinusAlphaBars.ToArray();
    private readonly float[] _inverseSignal = schedule.SqrtReciprocalAlphaBars.ToArray();
    private readonly float[] _ratio = schedule.SqrtReciprocalAlphaBarsMinusOne.ToArray();

    /// <summary>√ᾱ·image + √(1 − ᾱ)·noise: the image after a step of the process.</summary>
    public Tensor Noisy(Tape tape, Tensor image, Tensor noise, ReadOnlySpan<int> times)
        => tape.LinearCombination(Coefficients(tape, times, t => (_signal[t], _noise[t])), image, noise);

    /// <summary>√ᾱ·noise − √(1 − ᾱ)·image.</summary>
    public Tensor Velocity(Tape tape, Tensor image, Tensor noise, ReadOnlySpan<int> times)
        => tape.LinearCombination(Coefficients(tape, times, t => (_signal[t], -_noise[t])), noise, image);

    /// <summary>What the network should return.</summary>
    public Tensor Target(Tape tape, Objective objective, Tensor image, Tensor noise, ReadOnlySpan<int> times) => objective switch
    {
        Objective.PredNoise => noise,
        Objective.PredX0 => image,
        _ => Velocity(tape, image, noise, times),
    };

    /// <summary>The image that a network's output stands for.</summary>
    /// <param name="noisy">What the network saw.</param>
    /// <param name="output">What it returned.</param>
    /// <param name="clamp">Limits the result to [−clamp, clamp].</param>
    public Tensor Image(Tape tape, Objective objective, Tensor noisy, Tensor output, ReadOnlySpan<int> times, float clamp)
        => tape.LinearCombination(Coefficients(tape, times, t => objective switch
        {
            Objective.PredNoise => (_inverseSignal[t], -_ratio[t]),
            Objective.PredX0 => (0f, 1f),
            _ => (_signal[t], -_noise[t]),
        }), noisy, output, clamp: clamp);

    /// <summary>The noise that makes an image the noisy one.</summary>
    public Tensor Noise(Tape tape, Tensor noisy, Tensor image, ReadOnlySpan<int> times)
        => tape.LinearCombination(Coefficients(tape, times, t => (_inverseSignal[t] / _ratio[t], -1 / _ratio[t])), noisy, image);

    private static Tensor Coefficients(Tape tape, ReadOnlySpan<int> times, Func<int, (float X, float Z)> of)
    {
        var values = new float[3 * times.Length];
        for (int i = 0; i < times.Length; i++)
            (values[3 * i], values[(3 * i) + 1]) = of(times[i]);
        return tape.Constant([times.Length, 3], values);
    }
}

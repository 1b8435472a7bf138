using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu;

/// <summary>The loss of a network that learns the variance too: the squared error, plus a little of the variational bound.</summary>
/// <remarks>Nichol and Dhariwal, 2021, equation 16; denoising-diffusion-pytorch, LearnedGaussianDiffusion, but for any objective. The bound
/// is computed on the host, in 64 bits: few train this way, and in 32 bits it is ill-conditioned.</remarks>
internal sealed class LearnedVarianceLoss(NoiseSchedule schedule, NoiseMaps maps)
{
    private const double BoundWeight = 0.001;

    private readonly VariationalBound _bound = new(schedule);

    /// <param name="output">[N, H, W, 2C]: the objective, then the variance.</param>
    /// <param name="target">[N, H, W, C], of the objective.</param>
    /// <param name="weights">Of the squared error, one per sample.</param>
    /// <param name="clean">[N, H, W, C].</param>
    /// <param name="noisy">[N, H, W, C], what the network saw.</param>
    /// <param name="times">A step per sample.</param>
    /// <returns>[1].</returns>
    public Tensor Loss(Tape tape, Objective objective, Tensor output, Tensor target, float[] weights, Tensor clean, Tensor noisy,
        int[] times)
    {
        var (mean, variance) = tape.Split(output, target.Shape[^1]);
        var predicted = maps.Image(tape, objective, noisy, mean, times, float.PositiveInfinity);
        float[] shares = variance.ToArray(), targets = new float[shares.Length], strengths = new float[times.Length];
        double constant = Bound(clean.ToArray(), predicted.ToArray(), shares, times, targets, strengths);

        // One half of the output is its own target in each; the mean over both halves is half the other half's.
        var error = tape.MeanSquaredError(output, tape.Concat(target, variance), Vector(tape, Array.ConvertAll(weights, w => 2 * w)));
        var bound = tape.MeanSquaredError(output, tape.Concat(mean, tape.Constant(variance.Shape, targets)), Vector(tape, strengths));
        return tape.Add(tape.Add(error, bound), tape.Constant([1], [(float)constant]));
    }

    /// <summary>Finds targets whose weighted squared error has the bound's gradient at the present output.</summary>
    /// <returns>What that squared error lacks to have the bound's value.</returns>
    private double Bound(float[] clean, float[] predicted, float[] shares, int[] times, float[] targets, float[] strengths)
    {
        int length = shares.Length / times.Length;
        double missing = 0;
        var derivatives = new double[length];
        for (int n = 0; n < times.Length; n++)
        {
            double steepest = 0;
            for (int i = 0, at = n * length; i < length; i++, at++)
            {
                (double bits, derivatives[i]) = _bound.Of(times[n], clean[at], predicted[at], shares[at]);
                steepest = Math.Max(steepest, Math.Abs(derivatives[i]));
                missing += BoundWeight * bits;
            }
            strengths[n] = (float)(BoundWeight * steepest);
            for (int i = 0, at = n * length; i < length; i++, at++)
            {
                // At most 1 away, so that rounding costs little; the derivative of half a square is the distance.
                double away = steepest > 0 ? derivatives[i] / steepest : 0;
                targets[at] = (float)(shares[at] - away);
                missing -= 0.5 * strengths[n] * away * away;
            }
        }
        return missing / shares.Length;
    }

    private static Tensor Vector(Tape tape, float[] values) => tape.Constant([values.Length], values);
}

namespace Diffusion.Gpu;

/// <summary>How much the squared error of a step counts.</summary>
/// <remarks>Hang et al., 2023 (min-SNR); denoising-diffusion-pytorch, loss_weight. Without the limit all three
/// objectives weigh the error of the noise alike.</remarks>
internal static class LossWeight
{
    /// <summary>The weight of every step.</summary>
    /// <param name="schedule">Gives the signal-to-noise ratio ᾱ / (1 − ᾱ).</param>
    /// <param name="objective">What the error is measured in.</param>
    /// <param name="gamma">Where the ratio is cut off, or null for nowhere.</param>
    public static float[] Of(NoiseSchedule schedule, Objective objective, double? gamma)
        => [.. Enumerable.Range(0, schedule.Timesteps).Select(t => (float)Of(schedule.AlphaBar(t), objective, gamma))];

    private static double Of(double alphaBar, Objective objective, double? gamma)
    {
        double ratio = alphaBar / (1 - alphaBar);
        double limited = gamma is { } limit ? Math.Min(ratio, limit) : ratio;
        return objective switch
        {
            Objective.PredNoise => limited / ratio,
            Objective.PredX0 => limited,
            Objective.PredV => limited / (ratio + 1),
            _ => throw new ArgumentOutOfRangeException(nameof(objective), objective, "no such objective"),
        };
    }
}

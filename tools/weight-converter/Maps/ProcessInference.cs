using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Reads a diffusion process off the buffers that the reference saves beside the weights.</summary>
/// <remarks>denoising-diffusion-pytorch, GaussianDiffusion: betas tells steps and schedule,
/// loss_weight the objective and its limit.</remarks>
internal static class ProcessInference
{
    /// <summary>PyTorch's betas and ours differ by one rounding at most.</summary>
    private const double Tolerance = 1e-5;

    private const int MostTimesteps = 1 << 20;

    /// <summary>What the buffers tell.</summary>
    /// <param name="Timesteps">Steps, or null.</param>
    /// <param name="Schedule">The schedule, or null where it is none of the known ones.</param>
    /// <param name="Objective">What the network predicts, or null.</param>
    /// <param name="Gamma">The limit of the signal-to-noise ratio in the loss; null for none.</param>
    internal sealed record Finding(int? Timesteps = null, BetaSchedule? Schedule = null, Objective? Objective = null, double? Gamma = null);

    /// <summary>Looks for the buffers around a network's weights.</summary>
    /// <param name="file">The file.</param>
    /// <param name="prefix">What the names of the network's weights begin with.</param>
    public static Finding Infer(WeightFile file, string prefix)
    {
        string outer = Around(prefix);
        if (Buffer(file, outer + "betas") is not { } betas)
            return new Finding();
        foreach (var schedule in Enum.GetValues<BetaSchedule>())
        {
            var options = new DiffusionOptions { Timesteps = betas.Length, BetaSchedule = schedule };
            if (!CanBe(options) || !Near(betas, new GaussianDiffusion(options).Schedule.Betas.Span))
                continue;
            var (objective, gamma) = Buffer(file, outer + "loss_weight") is { } weights ? FindObjective(options, weights) : default;
            return new Finding(betas.Length, schedule, objective, gamma);
        }
        return new Finding(betas.Length);
    }

    /// <summary>What the names of the buffers begin with that lie around a network's weights.</summary>
    public static string Around(string prefix) => prefix.EndsWith("model.", StringComparison.Ordinal) ? prefix[..^"model.".Length] : prefix;

    private static float[]? Buffer(WeightFile file, string name)
        => file.Find(name) is { Shape: [>= 1 and <= MostTimesteps] } tensor && tensor.Type.Element is { } type
            && Kernels.Weights.ElementTypes.IsFloat(type) ? file.ReadSingles(tensor) : null;

    private static bool CanBe(DiffusionOptions options)
    {
        try
        {
            options.Validate();
            return true;
        }
        catch (OptionsException)
        {
            return false;
        }
    }

    private static (Objective? Objective, double? Gamma) FindObjective(DiffusionOptions options, float[] weights)
    {
        foreach (var objective in Enum.GetValues<Objective>())
        {
            var plain = new GaussianDiffusion(options with { Objective = objective });
            if (Near(weights, plain.LossWeights.Span))
                return (objective, null);
            // Where the ratio is cut off its limit stands in the first weight: γ/ratio, γ or γ/(ratio + 1), with ratio = ᾱ/(1 − ᾱ).
            double ratio = 1 / Math.Pow(plain.Schedule.SqrtReciprocalAlphaBarsMinusOne.Span[0], 2);
            double gamma = weights[0] * objective switch { Objective.PredNoise => ratio, Objective.PredX0 => 1, _ => ratio + 1 };
            double rounded = double.Round(gamma, 3);
            foreach (double limit in new[] { rounded, gamma }.Where(limit => limit > 0 && double.IsFinite(limit)))
            {
                var limited = new GaussianDiffusion(plain.Options with { MinSnrLossWeight = true, MinSnrGamma = limit });
                if (Near(weights, limited.LossWeights.Span))
                    return (objective, limit);
            }
        }
        return default;
    }

    private static bool Near(ReadOnlySpan<float> found, ReadOnlySpan<float> expected)
    {
        if (found.Length != expected.Length)
            return false;
        for (int i = 0; i < found.Length; i++)
        {
            if (!(Math.Abs(found[i] - expected[i]) <= Tolerance * Math.Abs(expected[i])))
                return false;
        }
        return true;
    }
}

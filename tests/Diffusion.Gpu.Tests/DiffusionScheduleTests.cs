using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Tests;

[TestFixture]
public class DiffusionScheduleTests
{
    /// <summary>One unit in the last place of a float.</summary>
    private const double Ulp = 2e-7;

    private static readonly string[] Cases =
    [
        "linear_T1000", "cosine_T1000", "sigmoid_T1000", "linear_T100", "cosine_T50_s0.02", "sigmoid_T250_tau0.7", "sigmoid_T20",
        "cosine_T15", "linear_T25",
    ];

    [TestCaseSource(nameof(Cases))]
    public void Schedule_has_the_reference_buffers(string name)
    {
        using var golden = GoldenFile.Open("diffusion/schedules");
        var schedule = Schedule(golden, name);
        var buffers = new Dictionary<string, ReadOnlyMemory<float>>
        {
            ["betas"] = schedule.Betas,
            ["alphas_cumprod"] = schedule.AlphaBars,
            ["alphas_cumprod_prev"] = schedule.PreviousAlphaBars,
            ["sqrt_alphas_cumprod"] = schedule.SqrtAlphaBars,
            ["sqrt_one_minus_alphas_cumprod"] = schedule.SqrtOneMinusAlphaBars,
            ["log_one_minus_alphas_cumprod"] = schedule.LogOneMinusAlphaBars,
            ["sqrt_recip_alphas_cumprod"] = schedule.SqrtReciprocalAlphaBars,
            ["sqrt_recipm1_alphas_cumprod"] = schedule.SqrtReciprocalAlphaBarsMinusOne,
            ["posterior_variance"] = schedule.PosteriorVariances,
            ["posterior_log_variance_clipped"] = schedule.PosteriorLogVariances,
            ["posterior_mean_coef1"] = schedule.PosteriorImageCoefficients,
            ["posterior_mean_coef2"] = schedule.PosteriorStateCoefficients,
        };
        foreach (var (buffer, values) in buffers)
            AssertEach(values.ToArray(), golden.Singles($"{name}/{buffer}"), Ulp, buffer);
        AssertEach(Doubles(schedule.Timesteps, schedule.Beta), golden.Doubles($"{name}/betas.f64"), 1e-12, "betas, 64 bits", 1e-15);
        AssertEach(Doubles(schedule.Timesteps, schedule.AlphaBar), golden.Doubles($"{name}/alphas_cumprod.f64"), 1e-12, "ᾱ, 64 bits");
    }

    [TestCaseSource(nameof(Cases))]
    public void Loss_weights_are_the_reference_ones(string name)
    {
        using var golden = GoldenFile.Open("diffusion/schedules");
        var schedule = Schedule(golden, name);
        (Objective Objective, string Name)[] objectives =
            [(Objective.PredNoise, "pred_noise"), (Objective.PredX0, "pred_x0"), (Objective.PredV, "pred_v")];
        (double? Gamma, string Name)[] limits = [(null, "plain"), (5, "minsnr_gamma5"), (2.5, "minsnr_gamma2.5")];
        foreach (var objective in objectives)
        {
            foreach (var limit in limits)
            {
                string key = $"{name}/loss_weight.{objective.Name}.{limit.Name}";
                AssertEach(LossWeight.Of(schedule, objective.Objective, limit.Gamma), golden.Singles(key), Ulp, key);
            }
        }
    }

    [Test]
    public void Ddim_visits_the_reference_steps()
    {
        using var golden = GoldenFile.Open("diffusion/ddim_times");
        foreach (var entry in golden.Entries)
        {
            int[] sizes = [.. entry.Name[1..].Split("_S").Select(int.Parse)];
            Assert.That(Ddim.Times(sizes[0], sizes[1]), Is.EqualTo(golden.Integers(entry.Name)), entry.Name);
        }
    }

    private static NoiseSchedule Schedule(GoldenFile golden, string name)
    {
        var config = golden.Config.GetProperty(name);
        int timesteps = config.GetProperty("timesteps").GetInt32();
        var arguments = config.GetProperty("schedule_fn_kwargs");
        return config.GetProperty("beta_schedule").GetString() switch
        {
            "cosine" when arguments.TryGetProperty("s", out var offset) => NoiseSchedule.Cosine(timesteps, offset.GetDouble()),
            "sigmoid" when arguments.TryGetProperty("tau", out var tau) => NoiseSchedule.Sigmoid(timesteps, tau: tau.GetDouble()),
            var kind => NoiseSchedule.Create(Enum.Parse<BetaSchedule>(kind!, ignoreCase: true), timesteps),
        };
    }

    private static double[] Doubles(int count, Func<int, double> value) => [.. Enumerable.Range(0, count).Select(value)];

    /// <param name="rounding">Absolute: β is 1 minus a quotient near 1.</param>
    private static void AssertEach<T>(T[] actual, T[] expected, double tolerance, string name, double rounding = 0)
        where T : struct, IConvertible
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), name);
        for (int t = 0; t < actual.Length; t++)
        {
            double wanted = Convert.ToDouble(expected[t]);
            double allowed = (tolerance * Math.Abs(wanted)) + rounding;
            Assert.That(Convert.ToDouble(actual[t]), Is.EqualTo(wanted).Within(allowed), $"{name} at {t}");
        }
    }
}

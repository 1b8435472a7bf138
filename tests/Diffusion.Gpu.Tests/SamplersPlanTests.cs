using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Tests;

/// <summary>Plans run on images whose best estimate is known: x0 normal with deviation s, x̂0 = s²/(s² + σ²)·x/√ᾱ.</summary>
[TestFixture]
public class SamplersPlanTests
{
    private const double Deviation = 0.5;

    [Test]
    public void Multistep_solver_converges_with_second_order()
    {
        double coarse = Error(steps => new DpmSolverPlusPlus(Process(BetaSchedule.Cosine), steps), 20);
        double fine = Error(steps => new DpmSolverPlusPlus(Process(BetaSchedule.Cosine), steps), 40);
        Assert.That(fine, Is.LessThan(coarse / 3).And.LessThan(5e-3));
    }

    [Test]
    public void Multistep_solver_beats_ddim_at_equal_steps()
    {
        double multistep = Error(steps => new DpmSolverPlusPlus(Process(BetaSchedule.Sigmoid), steps), 20);
        double single = Error(steps => new Ddim(Process(BetaSchedule.Sigmoid), steps), 20);
        Assert.That(multistep, Is.LessThan(single / 3));
    }

    [Test]
    public void Multistep_solver_visits_distinct_steps_from_where_noise_begins_to_matter()
    {
        foreach (var schedule in Enum.GetValues<BetaSchedule>())
        {
            var noise = Process(schedule).Schedule;
            foreach (int steps in new[] { 1, 2, 20, 50, 999, 1000 })
            {
                int[] times = DpmSolverPlusPlus.Times(noise, steps);
                Assert.That(times, Is.Ordered.Descending.And.Unique.And.All.InRange(0, 999), $"{schedule}, {steps} steps");
                Assert.That(times, Has.Length.EqualTo(steps));
                if (steps is > 1 and < 900)
                {
                    Assert.That(times[^1], Is.Zero);
                    Assert.That(Sigma(noise, times[0]), Is.LessThanOrEqualTo(80));
                    Assert.That(times[0] == 999 || Sigma(noise, times[0] + 1) > 80, Is.True);
                }
            }
        }
    }

    [Test]
    public void Process_chooses_ddim_when_it_asks_for_fewer_steps()
    {
        Assert.That(Sampler.For(new GaussianDiffusion(new DiffusionOptions { SamplingTimesteps = 50 })), Is.TypeOf<Ddim>());
        Assert.That(Sampler.For(new GaussianDiffusion(new DiffusionOptions { SamplingTimesteps = 1000 })), Is.TypeOf<Ddpm>());
        Assert.That(Sampler.For(new GaussianDiffusion(new DiffusionOptions())).Steps, Is.EqualTo(1000));
    }

    [Test]
    public void Samplers_refuse_impossible_steps()
    {
        var process = Process(BetaSchedule.Sigmoid);
        AssertRefused(() => new Ddim(process, 0), "steps is 0, expected 1 to timesteps = 1000");
        AssertRefused(() => new Ddim(process, 10, 2), "eta is 2, expected 0 to 1");
        AssertRefused(() => new DpmSolverPlusPlus(process, 1001), "steps is 1001");
    }

    private static void AssertRefused(Func<Sampler> make, string message)
        => Assert.That(make, Throws.TypeOf<OptionsException>().With.Message.Contains(message));

    private static GaussianDiffusion Process(BetaSchedule schedule) => new(new DiffusionOptions { BetaSchedule = schedule });

    private static double Sigma(NoiseSchedule schedule, int t) => Math.Sqrt((1 - schedule.AlphaBar(t)) / schedule.AlphaBar(t));

    /// <summary>How far a plan's end, before its last step to the image, is from the differential equation's exact solution.</summary>
    private static double Error(Func<int, Sampler> make, int steps)
    {
        var sampler = make(steps);
        var schedule = sampler.Diffusion.Schedule;
        double state = 1, previous = 0;
        foreach (var step in sampler.Plan.SkipLast(1))
        {
            double image = Estimate(schedule, step.Time, state);
            state = (step.Image * image) + (step.State * state) + (step.Previous * previous);
            previous = image;
        }
        // x/√ᾱ ∝ √(s² + σ²) along the exact path.
        int first = sampler.Plan[0].Time, last = sampler.Plan[^1].Time;
        double exact = Math.Sqrt(schedule.AlphaBar(last) / schedule.AlphaBar(first)) * Spread(schedule, last) / Spread(schedule, first);
        return Math.Abs((state / exact) - 1);
    }

    private static double Estimate(NoiseSchedule schedule, int t, double state)
        => Deviation * Deviation / Math.Pow(Spread(schedule, t), 2) * state / Math.Sqrt(schedule.AlphaBar(t));

    private static double Spread(NoiseSchedule schedule, int t) => Math.Sqrt((Deviation * Deviation) + Math.Pow(Sigma(schedule, t), 2));
}

using System.Text.Json.Nodes;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class EvaluationPolicyTests
{
    [TestCase("off")]
    [TestCase("development")]
    public void Development_scores_nothing(string stage) => Assert.That(PlanOf($$"""{"fid": "{{stage}}"}"""), Is.Null);

    [Test]
    public void Stages_bring_their_settings()
    {
        Assert.Multiple(() =>
        {
            Assert.That(PlanOf("""{"fid": "validation", "save-and-sample-every": 500, "train-batch-size": 32}"""),
                Is.EqualTo(new EvaluationPlan(10_000, 500, "dpm++2m", 15, 64, 2020)));
            Assert.That(PlanOf("""{"fid": "final"}"""), Is.EqualTo(new EvaluationPlan(50_000, null, "dpm++2m", 25, 32, 2020)));
            Assert.That(PlanOf("""{"fid": "validation", "timesteps": 12}""")!.Steps, Is.EqualTo(12));
            Assert.That(PlanOf("""{"fid": "validation", "fid-sampler": "ddpm", "timesteps": 70}""")!.Steps, Is.EqualTo(70));
        });
    }

    [Test]
    public void Every_setting_can_be_overridden()
        => Assert.That(PlanOf("""
            {"fid": "final", "num_fid_samples": 5, "fid_every": 7, "fid_sampler": "ddim", "fid_steps": 9, "fid_batch": 2, "fid_seed": 3}
            """), Is.EqualTo(new EvaluationPlan(5, 7, "ddim", 9, 2, 3)));

    [TestCase("""{"fid": "sometimes"}""", "fid", "validation")]
    [TestCase("""{"num-fid-samples": 1}""", "num-fid-samples", "at least 2")]
    [TestCase("""{"fid-every": 0}""", "fid-every", "at least 1")]
    [TestCase("""{"fid-steps": 0}""", "fid-steps", "at least 1")]
    [TestCase("""{"fid-batch": 0}""", "fid-batch", "at least 1")]
    [TestCase("""{"fid-sampler": "euler"}""", "fid-sampler", "dpm++2m")]
    [TestCase("""{"fid-dims": 100}""", "fid-dims", "768")]
    [TestCase("""{"fid": "final", "fid-steps": 1001}""", "fid-steps", "1000")]
    [TestCase("""{"fid": "final", "fid-sampler": "ddpm", "fid-steps": 10}""", "fid-steps", "every step")]
    [TestCase("""{"fid": "final", "channels": 4}""", "channels", "alpha")]
    [TestCase("""{"save-best-and-latest-only": true}""", "save-best-and-latest-only", "validation")]
    public void Impossible_settings_are_refused_by_name(string json, string option, string wanted)
        => Assert.That(() => RunOptions.Parse(json), Throws.TypeOf<OptionsException>()
            .With.Property(nameof(OptionsException.Option)).EqualTo(option).And.Message.Contains(wanted));

    [Test]
    public void Continued_run_may_change_how_it_is_scored()
    {
        var changed = TinyRun.Plain with
        {
            Evaluation = new() { Fid = EvaluationStage.Final, NumFidSamples = 5, FidDims = 64, FidWeights = "w" },
        };
        Assert.That(() => changed.CheckContinues(TinyRun.Plain), Throws.Nothing);
    }

    [Test]
    public void Options_are_written_as_they_are_read()
    {
        var options = RunOptions.Parse("""{"fid": "validation", "fid-sampler": "dpm++2m"}""");
        Assert.That(options.Write(), Does.Contain("\"fid-sampler\": \"dpm++2m\"").And.Contain("\"fid\": \"validation\"")
            .And.Not.Contain("is-on"));
        Assert.That(RunOptions.Parse(options.Write()), Is.EqualTo(options).Using<RunOptions>((a, b) => a.Write() == b.Write()));
    }

    [TestCase(1000L, 0L, 3000L, 3L)]
    [TestCase(1000L, 1000L, 3000L, 2L)]
    [TestCase(1000L, 1500L, 3500L, 3L)]
    [TestCase(null, 10L, 3000L, 1L)]
    [TestCase(1000L, 3000L, 3000L, 0L)]
    public void Scores_to_come_are_counted(long? every, long step, long last, long count)
    {
        var plan = new EvaluationPlan(2, every, "ddim", 1, 1, 0);
        Assert.That(plan.CountAfter(step, last), Is.EqualTo(count));
        Assert.That(Enumerable.Range((int)step + 1, (int)(last - step)).Count(s => plan.IsDue(s, last)), Is.EqualTo(count));
    }

    [Test]
    public void Cost_adds_up_and_cheaper_plans_are_offered_above_a_tenth()
    {
        // The reference's settings: 250 DDIM steps for 50,000 samples every 1,000 of 100,000 steps of three network calls' time per image.
        var plan = new EvaluationPlan(50_000, 1000, "ddim", 250, 32, 0);
        var cost = new EvaluationCost(plan, 100, 100_000, SecondsPerTrainingStep: 48e-3, SecondsPerNetworkCall: 1e-3,
            SecondsPerFeature: 3e-3, ReferenceImages: 50_000);
        var cheaper = cost.Cheaper();
        Assert.Multiple(() =>
        {
            Assert.That(cost.NetworkCalls, Is.EqualTo(1_250_000_000));
            Assert.That(cost.SecondsPerScore, Is.EqualTo(12_650).Within(1e-6));
            Assert.That(cost.Seconds, Is.EqualTo(1_265_000).Within(1e-6));
            Assert.That(cost.ReferenceSeconds, Is.EqualTo(150).Within(1e-6));
            Assert.That(cost.Share, Is.EqualTo(1_265_000 / (1_265_000 + 4800.0)).Within(1e-9));
            Assert.That(cheaper, Has.Count.EqualTo(2));
            Assert.That(cheaper[0].Plan, Is.EqualTo(plan with { Sampler = "dpm++2m", Steps = 15, Samples = 10_000 }));
            Assert.That(cheaper[1].Share, Is.LessThanOrEqualTo(EvaluationCost.NotableShare));
            Assert.That((cost with { Scores = 1, SecondsPerTrainingStep = 10 }).Cheaper(), Is.Empty,
                "the real images cost the same, whatever the plan");
        });
    }

    [Test]
    public void Where_nothing_else_is_cheaper_one_score_at_the_end_is_offered()
    {
        var plan = new EvaluationPlan(200, 100, "dpm++2m", 5, 32, 0);
        var cheaper = new EvaluationCost(plan, 2, 200, SecondsPerTrainingStep: 0.1, SecondsPerNetworkCall: 0.01, SecondsPerFeature: 0.02,
            ReferenceImages: 0).Cheaper();
        Assert.That(cheaper.Single().Plan, Is.EqualTo(plan with { Every = null }));
    }

    private static EvaluationPlan? PlanOf(string json)
    {
        var options = RunOptions.FromJson(JsonNode.Parse(json)!.AsObject());
        return options.Evaluation.PlanFor(options);
    }
}

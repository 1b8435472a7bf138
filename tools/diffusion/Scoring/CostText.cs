using System.Globalization;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>Says in a few words what the scores of a run will cost.</summary>
internal static class CostText
{
    /// <summary>The lines to print before a run.</summary>
    /// <param name="cost">What was measured.</param>
    /// <param name="dims">Features per image.</param>
    public static IEnumerable<string> Lines(EvaluationCost cost, int dims)
    {
        var plan = cost.Plan;
        yield return Text($"scores to come: {cost.Scores:N0}, each {plan.Samples:N0} samples x {Name(plan)} steps; ")
            + Text($"{cost.NetworkCalls:N0} network calls of one image, about {Clock(cost.Seconds)} = {Percent(cost.Share)} of this run");
        yield return cost.ReferenceImages > 0
            ? Text($"before the first one, once and not in that share, {cost.ReferenceImages:N0} real images are seen, about ")
                + $"{Clock(cost.ReferenceSeconds)}; their statistics stay in the run folder as fid-reference.npz"
            : "the statistics of the real images are there already";
        yield return Text($"measured: {1 / cost.SecondsPerNetworkCall:0.0} network calls/s, ")
            + Text($"{1 / cost.SecondsPerFeature:0.0} Inception images/s")
            + (cost.SecondsPerTrainingStep > 0 ? Text($", {1 / cost.SecondsPerTrainingStep:0.00} training steps/s") : "");
        if (plan.Samples <= dims)
        {
            yield return Text($"{plan.Samples:N0} samples are no more than {dims:N0} dims: scores are mostly the bias of so few, ")
                + "good to compare checkpoints of this run alone";
        }
        var cheaper = cost.Cheaper();
        if (cheaper.Count > 0)
        {
            yield return Text($"{Name(plan)} steps x {plan.Samples:N0} samples {Every(plan)} = {Percent(cost.Share)} of this run; ")
                + string.Join("; ", cheaper.Select(other => Alternative(other, plan)));
        }
    }

    private static string Alternative(EvaluationCost cost, EvaluationPlan than)
        => Text($"{cost.Plan.Sampler} with {cost.Plan.Steps} steps and {cost.Plan.Samples:N0} samples")
            + (cost.Plan.Every == than.Every ? "" : $" {Every(cost.Plan)}") + $" = {Percent(cost.Share)}";

    private static string Name(EvaluationPlan plan)
        => Text($"{plan.Steps} {(plan.Sampler == "dpm++2m" ? plan.Sampler : plan.Sampler.ToUpperInvariant())}");

    private static string Every(EvaluationPlan plan) => plan.Every is { } every ? Text($"every {every:N0} steps") : "at the end";

    private static string Percent(double share) => Text($"{100 * share:0.#} %");

    private static string Clock(double seconds) => StatusLine.Clock(TimeSpan.FromSeconds(Math.Min(seconds, 1e9)));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

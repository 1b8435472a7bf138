namespace Diffusion.Gpu.Training;

/// <summary>What the scores of a run will cost, from times measured on this machine.</summary>
/// <param name="Plan">What is drawn and scored.</param>
/// <param name="Scores">Scores from here to the end of the run.</param>
/// <param name="TrainingSteps">Training steps from here to the end of the run.</param>
/// <param name="SecondsPerTrainingStep">Measured.</param>
/// <param name="SecondsPerNetworkCall">Of one image in a batch of the plan; measured.</param>
/// <param name="SecondsPerFeature">Of one image; measured.</param>
/// <param name="ReferenceImages">Real images whose features are still to be computed, once.</param>
public sealed record EvaluationCost(EvaluationPlan Plan, long Scores, long TrainingSteps, double SecondsPerTrainingStep,
    double SecondsPerNetworkCall, double SecondsPerFeature, int ReferenceImages)
{
    /// <summary>Above this share of a run, cheaper plans are worth showing.</summary>
    public const double NotableShare = 0.1;

    /// <summary>Network calls of all scores.</summary>
    public long NetworkCalls => Scores * Plan.NetworkCalls;

    /// <summary>Estimated seconds of one score; statistics and root, seconds each, are not counted.</summary>
    public double SecondsPerScore => (Plan.NetworkCalls * SecondsPerNetworkCall) + (Plan.Samples * SecondsPerFeature);

    /// <summary>Estimated seconds of all scores.</summary>
    public double Seconds => Scores * SecondsPerScore;

    /// <summary>Estimated seconds for the real images, which are seen once however many scores there are.</summary>
    public double ReferenceSeconds => ReferenceImages * SecondsPerFeature;

    /// <summary>Estimated seconds of the training.</summary>
    public double TrainingSeconds => TrainingSteps * SecondsPerTrainingStep;

    /// <summary>Share of training and scores that is spent on scores, 0 to 1; the reference is not counted.</summary>
    public double Share => Seconds > 0 ? Seconds / (Seconds + TrainingSeconds) : 0;

    /// <summary>Cheaper plans where the share is above <see cref="NotableShare"/>: the next sensible one and the first below it.</summary>
    public IReadOnlyList<EvaluationCost> Cheaper()
    {
        if (Share <= NotableShare)
            return [];
        var cheaper = Candidates().Where(cost => cost.SecondsPerScore < 0.8 * SecondsPerScore || cost.Scores < Scores)
            .Where(cost => cost.Share < Share).ToList();
        var first = cheaper.Take(1);
        var cheap = cheaper.Where(cost => cost.Share <= NotableShare).Take(1);
        return [.. first.Union(cheap)];
    }

    /// <summary>Fewer network calls first, then fewer samples, then fewer scores: in the order of what a score's meaning loses.</summary>
    private IEnumerable<EvaluationCost> Candidates()
    {
        foreach (var (steps, samples) in new[] { (15, 10_000), (15, 5_000), (10, 2_000), (10, 1_000) })
        {
            if (samples <= Plan.Samples)
                yield return With(steps, samples, rarer: 1);
        }
        foreach (int rarer in new[] { 2, 5, 10, 20, 50, 100 })
        {
            if (Plan.Every is not null && Scores > rarer)
                yield return With(10, Math.Min(Plan.Samples, 1_000), rarer);
        }
        if (Plan.Every is not null && Scores > 1)
            yield return AtTheEnd(With(10, Math.Min(Plan.Samples, 1_000), rarer: 1));
    }

    private static EvaluationCost AtTheEnd(EvaluationCost cost) => cost with { Scores = 1, Plan = cost.Plan with { Every = null } };

    private EvaluationCost With(int steps, int samples, int rarer) => this with
    {
        Plan = Plan with { Sampler = "dpm++2m", Steps = Math.Min(steps, Plan.Steps), Samples = samples, Every = Plan.Every * rarer },
        Scores = Math.Max(1, Scores / rarer),
    };
}

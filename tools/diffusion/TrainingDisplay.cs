using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Cli.Scoring;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli;

/// <summary>Shows a training run: bar, step, loss, speed, time left; or its events as JSON.</summary>
internal sealed class TrainingDisplay(ToolContext tool, DisplayMode mode) : IProgress<TrainingProgress>, IDisposable
{
    private readonly StatusLine _line = new(tool.Error, mode);

    private EvaluationProgress? _evaluation;

    /// <summary>What a request to stop leads to at this moment.</summary>
    public string Stopping => _evaluation is null ? "stopping after this step …"
        : "stopping; the features computed so far are kept, images under way are done again …";

    /// <summary>How far the score was that was cut off; null where none was.</summary>
    public string? CutOff => _evaluation switch
    {
        null => null,
        { Work: EvaluationWork.Reference } e => string.Create(CultureInfo.InvariantCulture,
            $"features of {e.Kept:N0} of {e.Total:N0} real images are kept"),
        var e => string.Create(CultureInfo.InvariantCulture, $"features of {e.Kept:N0} of {e.Total:N0} samples are kept"),
    };

    /// <summary>Said with every score: what it was computed by.</summary>
    public string ScoredBy { get; set; } = "";

    public void Report(TrainingProgress value)
    {
        if (value.File is null)
            _evaluation = value.Evaluation;
        if (mode == DisplayMode.Json)
        {
            // A grid is one event, however many steps it takes.
            if (value.SamplingShare == 0)
                tool.Out.WriteLine(ToJson(value));
        }
        else if (value.File is not null)
            _line.Line($"step {value.Step}: {Sentence(value)}");
        else if (value.Score is { } score)
            _line.Line(ScoreText(score));
        else if (value.Evaluation is { } evaluation)
            ShowEvaluation(value.Step, evaluation);
        else if (value.Phase == TrainingPhase.Training)
            ShowStep(value);
        else
            _line.Rewrite(value.SamplingShare, $"step {value.Step}: drawing a grid of samples, {100 * value.SamplingShare:0} %");
    }

    /// <summary>Shows what the scores of the run will cost.</summary>
    public void Cost(EvaluationCost cost, int dims)
    {
        if (mode == DisplayMode.Json)
            tool.Out.WriteLine(ToJson(cost));
        foreach (string line in CostText.Lines(cost, dims))
            _line.Line(line);
    }

    /// <summary>Shows how many images have been read.</summary>
    public void Reading(int images)
        => _line.Rewrite(double.NaN, string.Create(CultureInfo.InvariantCulture, $"reading images: {images:N0}"));

    /// <summary>Writes a line of its own above the progress.</summary>
    public void Line(string text) => _line.Line(text);

    public void Dispose() => _line.Dispose();

    private void ShowStep(TrainingProgress p) => _line.Rewrite((double)p.Step / p.TotalSteps,
        string.Create(CultureInfo.InvariantCulture,
            $"step {p.Step}/{p.TotalSteps}  loss {p.Loss:0.0000}  {p.ImagesPerSecond:0.0} images/s  ")
        + $"{StatusLine.Clock(p.Elapsed)} passed, {StatusLine.Clock(p.Remaining)} left", isLast: p.Step == p.TotalSteps);

    private static string Sentence(TrainingProgress p) => p.Phase switch
    {
        TrainingPhase.SavedBest => $"the best score so far: {p.File}",
        TrainingPhase.SetBestAside => $"the best checkpoint so far was scored by other settings and cannot be compared; it is now {p.File}",
        TrainingPhase.FeaturesDiscarded => $"{p.File} holds features of other weights or settings; they are computed anew",
        TrainingPhase.ReferenceDiscarded => $"{p.File} belongs to other images or settings; it is computed anew",
        _ => $"wrote {p.File}",
    };

    private string ScoreText(EvaluationRecord s) => string.Create(CultureInfo.InvariantCulture,
        $"step {s.Step}: FID {s.Fid:G9} of {s.Samples:N0} samples by {s.Sampler} in {s.Steps} steps, {ScoredBy}; ")
        + string.Create(CultureInfo.InvariantCulture, $"sampling {s.Seconds[0]:0.0} s, Inception {s.Seconds[1]:0.0} s, ")
        + string.Create(CultureInfo.InvariantCulture, $"statistics {s.Seconds[2]:0.0} s, root {s.Seconds[3]:0.0} s by {s.Root}");

    private void ShowEvaluation(long step, EvaluationProgress e)
    {
        string work = e.Work switch
        {
            EvaluationWork.Reference => string.Create(CultureInfo.InvariantCulture,
                $"real images {e.Done:N0}/{e.Total:N0}{Rate("Inception", e.FeatureRate)}"),
            EvaluationWork.Statistics => string.Create(CultureInfo.InvariantCulture, $"statistics {e.Done:N0}/{e.Total:N0}"),
            EvaluationWork.Distance => "matrix root",
            _ => string.Create(CultureInfo.InvariantCulture,
                $"samples {Math.Floor(e.Done):N0}/{e.Total:N0}{Rate("sampling", e.SamplingRate)}{Rate("Inception", e.FeatureRate)}"),
        };
        bool isLast = e.Work is EvaluationWork.Features or EvaluationWork.Reference && e.Done >= e.Total;
        _line.Rewrite(e.Done / e.Total, $"step {step}: FID: {work}, {StatusLine.Clock(e.Remaining)} left", isLast);
    }

    private static string Rate(string stage, double rate)
        => rate > 0 ? string.Create(CultureInfo.InvariantCulture, $", {stage} {rate:0.0} images/s") : "";

    private static string ToJson(EvaluationCost cost) => new JsonObject
    {
        ["event"] = "cost",
        ["scores"] = cost.Scores,
        ["samples"] = cost.Plan.Samples,
        ["sampler"] = cost.Plan.Sampler,
        ["steps"] = cost.Plan.Steps,
        ["network_calls"] = cost.NetworkCalls,
        ["seconds"] = cost.Seconds,
        ["reference_images"] = cost.ReferenceImages,
        ["reference_s"] = cost.ReferenceSeconds,
        ["training_s"] = cost.TrainingSeconds,
        ["share"] = cost.Share,
    }.ToJsonString();

    private static string ToJson(TrainingProgress p) => new JsonObject
    {
        ["event"] = p.Phase.ToString().ToLowerInvariant(),
        ["step"] = p.Step,
        ["total_steps"] = p.TotalSteps,
        ["loss"] = Finite(p.Loss),
        ["grad_norm"] = Finite(p.GradientNorm),
        ["lr"] = p.LearningRate,
        ["images_per_s"] = Finite(p.ImagesPerSecond),
        ["elapsed_s"] = p.Elapsed.TotalSeconds,
        ["remaining_s"] = p.Remaining.TotalSeconds,
        ["file"] = p.File,
        ["fid"] = p.Score?.Fid,
        ["evaluation"] = p.Evaluation is { } e
            ? new JsonObject { ["work"] = e.Work.ToString().ToLowerInvariant(), ["done"] = e.Done, ["total"] = e.Total }
            : null,
    }.ToJsonString();

    /// <summary>JSON has no NaN; what is not finite is null.</summary>
    private static JsonNode? Finite(double value) => double.IsFinite(value) ? value : null;
}

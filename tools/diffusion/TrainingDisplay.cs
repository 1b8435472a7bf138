using System.Globalization;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli;

/// <summary>Shows a training run: bar, step, loss, speed, time left; or its events as JSON.</summary>
internal sealed class TrainingDisplay(ToolContext tool, DisplayMode mode) : IProgress<TrainingProgress>, IDisposable
{
    private readonly StatusLine _line = new(tool.Error, mode);

    /// <summary>The display that suits where stderr goes.</summary>
    public static DisplayMode ModeFor(bool json)
        => json ? DisplayMode.Json : Console.IsErrorRedirected ? DisplayMode.Lines : DisplayMode.Live;

    public void Report(TrainingProgress value)
    {
        if (mode == DisplayMode.Json)
        {
            // A grid is one event, however many steps it takes.
            if (value.SamplingShare == 0)
                tool.Out.WriteLine(ToJson(value));
        }
        else if (value.File is not null)
            _line.Line($"step {value.Step}: wrote {value.File}");
        else if (value.Phase == TrainingPhase.Training)
            ShowStep(value);
        else
            _line.Rewrite(value.SamplingShare, $"step {value.Step}: drawing a grid of samples, {100 * value.SamplingShare:0} %");
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
    }.ToJsonString();

    /// <summary>JSON has no NaN; what is not finite is null.</summary>
    private static JsonNode? Finite(double value) => double.IsFinite(value) ? value : null;
}

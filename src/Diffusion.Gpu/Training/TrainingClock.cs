using System.Diagnostics;

namespace Diffusion.Gpu.Training;

/// <summary>Times a run: rate of the latest step, smoothed rate, and what remains.</summary>
internal sealed class TrainingClock(TimeSpan before)
{
    /// <summary>Share of the latest step in the smoothed rate: a memory of about twenty steps.</summary>
    private const double Weight = 0.05;

    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private TimeSpan _stepBegan;
    private TimeSpan _milestoneBegan;
    private double _milestoneSeconds;
    private double _secondsPerStep;
    private int _images;

    /// <summary>Time since the run began, the time before a resume included.</summary>
    public TimeSpan Elapsed => before + _watch.Elapsed;

    /// <summary>Images per second of the latest step.</summary>
    public double LatestRate { get; private set; }

    /// <summary>Images per second over the latest steps.</summary>
    public double SmoothedRate => _secondsPerStep > 0 ? _images / _secondsPerStep : 0;

    /// <summary>Time of a score: estimated, then that of the latest.</summary>
    public double EvaluationSeconds { private get; set; }

    /// <summary>Estimated time for the real images, until they have been seen.</summary>
    public double ReferenceSeconds { private get; set; }

    public void BeginStep() => _stepBegan = _watch.Elapsed;

    public void EndStep(int images)
    {
        double seconds = Math.Max((_watch.Elapsed - _stepBegan).TotalSeconds, 1e-9);
        LatestRate = images / seconds;
        _secondsPerStep = _images == 0 ? seconds : _secondsPerStep + (Weight * (seconds - _secondsPerStep));
        _images = images;
    }

    public void BeginMilestone() => _milestoneBegan = _watch.Elapsed;

    public void EndMilestone() => _milestoneSeconds = (_watch.Elapsed - _milestoneBegan).TotalSeconds;

    /// <summary>Estimated time to the last step; milestones count at the cost of the latest one, as do scores.</summary>
    public TimeSpan Remaining(long step, long total, long every, long scores)
    {
        long milestones = (total / every) - (step / every) + (step < total && total % every != 0 ? 1 : 0);
        return TimeSpan.FromSeconds(Math.Min(((total - step) * _secondsPerStep) + (milestones * _milestoneSeconds)
            + (scores * EvaluationSeconds) + ReferenceSeconds, 1e9));
    }
}

using System.Diagnostics;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Training;

/// <summary>Times the parts of an evaluation and reports how far it is.</summary>
/// <param name="total">Samples in all.</param>
/// <param name="report">Told of every step of the sampler and every batch of features.</param>
internal sealed class EvaluationPace(int total, Action<EvaluationProgress> report) : IProgress<SamplingProgress>
{
    private readonly Stopwatch _watch = new();
    private int _done;
    private double _drawn;
    private int _extracted;
    private int _batch;

    /// <summary>Seconds spent on drawing.</summary>
    public double SamplingSeconds { get; private set; }

    /// <summary>Seconds spent on features.</summary>
    public double FeatureSeconds { get; private set; }

    public void BeginSampling(int done, int batch)
    {
        (_done, _batch) = (done, batch);
        _watch.Restart();
    }

    public void Report(SamplingProgress value)
    {
        SamplingSeconds += Lap();
        _drawn += (double)_batch / value.Steps;
        Tell(EvaluationWork.Sampling, _done + (_batch * (double)value.Step / value.Steps));
    }

    public void BeginFeatures() => SamplingSeconds += Lap();

    public void EndFeatures()
    {
        FeatureSeconds += Lap();
        _extracted += _batch;
        _done += _batch;
        Tell(EvaluationWork.Features, _done);
    }

    public void ReportScore(EvaluationWork work, int done) => Tell(work, done);

    private double Lap()
    {
        double seconds = _watch.Elapsed.TotalSeconds;
        _watch.Restart();
        return seconds;
    }

    private void Tell(EvaluationWork work, double done)
    {
        double sampling = Rate(_drawn, SamplingSeconds), features = Rate(_extracted, FeatureSeconds);
        double left = total - (work is EvaluationWork.Statistics or EvaluationWork.Distance ? total : done);
        double seconds = (sampling > 0 ? left / sampling : 0) + (features > 0 ? left / features : 0);
        report(new EvaluationProgress(work, done, total, sampling, features, TimeSpan.FromSeconds(Math.Min(seconds, 1e9)), _done));
    }

    private static double Rate(double images, double seconds) => seconds > 0 ? images / seconds : 0;
}

namespace Diffusion.Gpu.Training;

/// <summary>An <see cref="EvaluationPolicy"/> with every choice made.</summary>
/// <param name="Samples">Images drawn for a score.</param>
/// <param name="Every">Training steps between scores; null for the end alone.</param>
/// <param name="Sampler">The sampler's name.</param>
/// <param name="Steps">Network calls per image.</param>
/// <param name="Batch">Images drawn together.</param>
/// <param name="Seed">Decides the images.</param>
public sealed record EvaluationPlan(int Samples, long? Every, string Sampler, int Steps, int Batch, ulong Seed)
{
    /// <summary>Network calls of one score.</summary>
    public long NetworkCalls => (long)Samples * Steps;

    /// <summary>Whether a score belongs after a step.</summary>
    /// <param name="step">Steps taken.</param>
    /// <param name="lastStep">The step at which the run ends.</param>
    public bool IsDue(long step, long lastStep) => step == lastStep || (Every is { } every && step > 0 && step % every == 0);

    /// <summary>Scores after a step up to the end of the run.</summary>
    /// <param name="step">Steps taken.</param>
    /// <param name="lastStep">The step at which the run ends.</param>
    public long CountAfter(long step, long lastStep)
    {
        if (step >= lastStep)
            return 0;
        return Every is { } every ? (lastStep / every) - (step / every) + (lastStep % every != 0 ? 1 : 0) : 1;
    }
}

using System.Globalization;

namespace Diffusion.Gpu.Training;

/// <summary>Says that a step's loss or gradient is not finite; the step was not applied and the last checkpoint stands.</summary>
public sealed class DivergedException : ArithmeticException
{
    /// <summary>Describes the step.</summary>
    /// <param name="step">The step that was not applied, counted from 1.</param>
    /// <param name="loss">Its loss.</param>
    /// <param name="gradientNorm">Its global gradient norm.</param>
    /// <param name="checkpoint">The newest checkpoint, or null where none has been written.</param>
    public DivergedException(long step, float loss, float gradientNorm, string? checkpoint)
        : base(string.Create(CultureInfo.InvariantCulture,
            $"step {step}: loss {loss}, gradient norm {gradientNorm}; expected finite numbers; the step was not applied, ")
            + (checkpoint is null ? "no checkpoint exists yet" : $"the last good checkpoint is {checkpoint}")
            + ": lower train-lr or max-grad-norm")
    {
        Step = step;
        Loss = loss;
        GradientNorm = gradientNorm;
        Checkpoint = checkpoint;
    }

    private DivergedException(long step, string? checkpoint)
        : base(string.Create(CultureInfo.InvariantCulture, $"step {step}: the averaged weights draw samples that are not finite; ")
            + (checkpoint is null ? "no good checkpoint exists" : $"the last good checkpoint is {checkpoint}")
            + ": lower train-lr or max-grad-norm")
        => (Step, Loss, GradientNorm, Checkpoint) = (step, float.NaN, float.NaN, checkpoint);

    /// <summary>Describes weights that no image can be drawn from, so that they are not saved as a checkpoint.</summary>
    internal static DivergedException OfSamples(long step, string? checkpoint) => new(step, checkpoint);

    /// <summary>The step that was not applied, counted from 1; where samples are at fault, the last that was.</summary>
    public long Step { get; }

    /// <summary>Its loss.</summary>
    public float Loss { get; }

    /// <summary>Its global gradient norm.</summary>
    public float GradientNorm { get; }

    /// <summary>The newest checkpoint, or null.</summary>
    public string? Checkpoint { get; }
}

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

    /// <summary>The step that was not applied, counted from 1.</summary>
    public long Step { get; }

    /// <summary>Its loss.</summary>
    public float Loss { get; }

    /// <summary>Its global gradient norm.</summary>
    public float GradientNorm { get; }

    /// <summary>The newest checkpoint, or null.</summary>
    public string? Checkpoint { get; }
}

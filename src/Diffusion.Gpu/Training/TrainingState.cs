using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Training;

/// <summary>Everything that a training step changes: weights, their average, and the optimiser's moments.</summary>
internal sealed class TrainingState : IDisposable
{
    private readonly Device _device;
    private readonly TrainerOptions _options;

    /// <summary>Builds a model with fresh weights and an average equal to them.</summary>
    /// <param name="device">Where everything lies.</param>
    /// <param name="unet">The network's shape.</param>
    /// <param name="options">The optimiser and the average.</param>
    /// <param name="emaCopies">Steps during which the average is a copy.</param>
    public TrainingState(Device device, UnetOptions unet, TrainerOptions options, int emaCopies = 100)
    {
        _device = device;
        _options = options;
        Online = new Unet(device, unet, options.Seed);
        Average = new Unet(device, unet, options.Seed);
        Adam = new Adam(Online.Parameters, options.TrainLr, options.AdamBetas[0], options.AdamBetas[1]);
        Ema = new Ema(Online.Parameters, Average.Parameters, options.EmaDecay, options.EmaUpdateEvery, emaCopies);
    }

    /// <summary>The network that is trained.</summary>
    public Unet Online { get; }

    /// <summary>The network that is sampled from.</summary>
    public Unet Average { get; }

    /// <summary>Updates <see cref="Online"/>.</summary>
    public Adam Adam { get; }

    /// <summary>Updates <see cref="Average"/>.</summary>
    public Ema Ema { get; }

    /// <summary>Takes one step: losses of all passes, their gradients' sum, clipping, Adam, average.</summary>
    /// <param name="passes">Passes whose losses are averaged.</param>
    /// <param name="lossOf">Computes the loss [1] of a pass, counted from 0.</param>
    /// <returns>The mean loss, and the gradient's global L2 norm before clipping; if either is not finite, nothing changed.</returns>
    /// <remarks>denoising-diffusion-pytorch, Trainer.train.</remarks>
    public StepResult Step(int passes, Func<Tape, int, Tensor> lossOf)
    {
        var losses = new Tensor[passes];
        for (int pass = 0; pass < passes; pass++)
        {
            using var tape = _device.NewTape();
            var loss = lossOf(tape, pass);
            tape.Backward(loss, 1f / passes);
            losses[pass] = tape.Keep(loss);
        }
        // Read after the last pass is under way, so that a device never waits for the host in between.
        double sum = 0;
        foreach (var loss in losses)
        {
            sum += loss.ToArray()[0];
            loss.Dispose();
        }
        var result = new StepResult((float)(sum / passes), (float)Adam.MeasureGradient());
        if (!result.IsFinite)
            return result;
        Adam.Step(_options.MaxGradNorm);
        Ema.Update();
        return result;
    }

    /// <summary>Returns the memory.</summary>
    public void Dispose()
    {
        Adam.Dispose();
        Average.Dispose();
        Online.Dispose();
    }
}

/// <summary>What a step computed.</summary>
/// <param name="Loss">Mean over the passes.</param>
/// <param name="GradientNorm">Global L2 norm before clipping.</param>
internal readonly record struct StepResult(float Loss, float GradientNorm)
{
    /// <summary>Whether the step could be applied.</summary>
    public bool IsFinite => float.IsFinite(Loss) && float.IsFinite(GradientNorm);
}

namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>The mean over samples of weight · mean squared difference.</summary>
    /// <param name="prediction">[N, ..].</param>
    /// <param name="target">The shape of prediction; treated as constant.</param>
    /// <param name="weights">[N], one per sample; or null for 1.</param>
    /// <returns>[1].</returns>
    /// <exception cref="ShapeException">The shapes disagree.</exception>
    /// <remarks>denoising-diffusion-pytorch, p_losses. Gradient: prediction.</remarks>
    public Tensor MeanSquaredError(Tensor prediction, Tensor target, Tensor? weights = null)
    {
        ArgumentNullException.ThrowIfNull(prediction);
        ArgumentNullException.ThrowIfNull(target);
        Check.Shape(target, prediction.Shape, "the shape of prediction");
        int n = prediction.Shape[0], p = (int)(prediction.Count / n);
        if (weights is not null)
            Check.Shape(weights, [n], "[N]");
        var loss = New([1]);
        Backend.MeanSquaredErrorForward(n, p, prediction, target, weights, loss);
        return Record(loss, [prediction], [prediction, target, weights], (gradients, dLoss)
            => Backend.MeanSquaredErrorBackward(n, p, prediction, target, weights, dLoss, gradients.To(prediction)));
    }
}

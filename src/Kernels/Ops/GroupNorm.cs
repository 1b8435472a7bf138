namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Normalises each group of channels of each sample to mean 0 and variance 1, then scales and shifts each channel.</summary>
    /// <param name="x">[N, .., C].</param>
    /// <param name="groups">Number of groups; divides C.</param>
    /// <param name="gain">[C], the learned scale.</param>
    /// <param name="bias">[C], the learned shift.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <returns>[N, .., C].</returns>
    /// <exception cref="ShapeException">groups does not divide C, or gain or bias do not have C entries.</exception>
    /// <remarks>Wu and He, 2018; PyTorch's GroupNorm. Gradients: x, gain, bias.</remarks>
    public Tensor GroupNorm(Tensor x, int groups, Tensor gain, Tensor bias, float epsilon = 1e-5f)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(gain);
        ArgumentNullException.ThrowIfNull(bias);
        var shape = RowShape.Of(x);
        Check.That(groups >= 1 && shape.C % groups == 0, nameof(groups), groups, $"a divisor of {shape.C} channels");
        Check.Shape(gain, [shape.C], "[C]");
        Check.Shape(bias, [shape.C], "[C]");
        var y = New(x.Shape);
        var statistics = New([shape.N, groups, 2]);
        Backend.GroupNormForward(shape, groups, x, gain, bias, epsilon, y, statistics);
        return Record(y, [x, gain, bias], [x, gain, statistics], (gradients, dy) => Backend.GroupNormBackward(shape, groups, x, gain,
            statistics, dy, gradients.To(x), gradients.To(gain), gradients.To(bias)));
    }
}

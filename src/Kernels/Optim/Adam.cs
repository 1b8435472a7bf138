namespace Diffusion.Gpu.Kernels;

/// <summary>Adam over a whole parameter set in one pass, with gradient clipping.</summary>
/// <remarks>Kingma and Ba, 2015, in PyTorch's form without weight decay: the root of the second moment is divided by √(1 − β2^k) before
/// epsilon is added.</remarks>
public sealed class Adam : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly Tensor _squaredNorm;
    private bool _isMeasured;

    /// <summary>Makes an optimiser with zero moments.</summary>
    /// <param name="parameters">What is trained.</param>
    /// <param name="learningRate">Step size.</param>
    /// <param name="beta1">Decay of the first moment, in [0, 1).</param>
    /// <param name="beta2">Decay of the second moment, in [0, 1).</param>
    /// <param name="epsilon">Added after the root.</param>
    public Adam(ParameterSet parameters, double learningRate = 1e-4, double beta1 = 0.9, double beta2 = 0.99, double epsilon = 1e-8)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        _parameters = parameters;
        LearningRate = learningRate;
        Beta1 = beta1;
        Beta2 = beta2;
        Epsilon = epsilon;
        FirstMoment = parameters.NewState();
        SecondMoment = parameters.NewState();
        _squaredNorm = parameters.Device.NewTensor([1]);
    }

    /// <summary>Step size of the next step.</summary>
    public double LearningRate { get; set; }

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; }

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; }

    /// <summary>Added after the root.</summary>
    public double Epsilon { get; }

    /// <summary>Steps taken; set when a run is resumed.</summary>
    public long Steps { get; set; }

    /// <summary>Averages of the gradients, laid out like the parameter set's trainable values.</summary>
    public Tensor FirstMoment { get; }

    /// <summary>Averages of the squared gradients, laid out like the parameter set's trainable values.</summary>
    public Tensor SecondMoment { get; }

    /// <summary>The global L2 norm of the latest measured gradient before clipping; waits for the device.</summary>
    public double GradientNorm
    {
        get
        {
            Span<float> squared = stackalloc float[1];
            _squaredNorm.CopyTo(squared);
            return Math.Sqrt(squared[0]);
        }
    }

    /// <summary>Measures the gradient that the next step will use, so that the step can be refused;
    /// no backward pass may come between.</summary>
    /// <returns>The global L2 norm before clipping.</returns>
    public double MeasureGradient()
    {
        EnsureMeasured();
        return GradientNorm;
    }

    /// <summary>Clips, updates every trainable parameter and forgets the gradients.</summary>
    /// <param name="maxNorm">Gradients are scaled by min(1, maxNorm / (norm + 1e-6)); infinite for no clipping.</param>
    public void Step(double maxNorm = double.PositiveInfinity)
    {
        Steps++;
        EnsureMeasured();
        _isMeasured = false;
        var step = new AdamStep((float)LearningRate, (float)Beta1, (float)Beta2, (float)Epsilon, (float)(1 - Math.Pow(Beta1, Steps)),
            (float)Math.Sqrt(1 - Math.Pow(Beta2, Steps)), (float)maxNorm);
        _parameters.Device.Backend.Adam(step, _parameters.Trainable, _parameters.Gradients, FirstMoment, SecondMoment, _squaredNorm);
        _parameters.MarkChanged();
        _parameters.ClearGradients();
    }

    /// <summary>Returns the memory of the moments.</summary>
    public void Dispose()
    {
        FirstMoment.Dispose();
        SecondMoment.Dispose();
        _squaredNorm.Dispose();
    }

    private void EnsureMeasured()
    {
        if (!_isMeasured)
            _parameters.Device.Backend.SumOfSquares(_parameters.Gradients, _squaredNorm);
        _isMeasured = true;
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>A named tensor that belongs to a model, and its gradient where it is trained.</summary>
public sealed class Parameter
{
    private Tensor? _value;

    /// <summary>Names a parameter; a <see cref="ParameterSet"/> gives it memory.</summary>
    /// <param name="name">The dotted name, as PyTorch's state_dict has it.</param>
    /// <param name="shape">The extents in this library's layout.</param>
    /// <param name="trainable">False for values that are drawn once and never trained.</param>
    public Parameter(string name, Shape shape, bool trainable = true)
    {
        Name = name;
        Shape = shape;
        IsTrainable = trainable;
    }

    /// <summary>The dotted name, as PyTorch's state_dict has it.</summary>
    public string Name { get; }

    /// <summary>The extents in this library's layout.</summary>
    public Shape Shape { get; }

    /// <summary>False for values that are drawn once and never trained (random Fourier frequencies).</summary>
    public bool IsTrainable { get; }

    /// <summary>The values.</summary>
    public Tensor Value => _value
        ?? throw new InvalidOperationException($"Parameter {Name} has no memory yet; build its ParameterSet first.");

    /// <summary>The gradient; meaningful where <see cref="HasGradient"/> holds.</summary>
    public Tensor? Gradient { get; internal set; }

    /// <summary>Whether a backward pass has written the gradient since it was last cleared.</summary>
    public bool HasGradient { get; internal set; }

    /// <summary>The set that gave the memory.</summary>
    internal ParameterSet? Owner { get; private set; }

    internal void Bind(ParameterSet owner, Tensor value)
    {
        Owner = owner;
        _value = value;
        if (IsTrainable)
            value.Storage.Parameter = this;
    }

    /// <summary>A parameter stands for its values wherever a tensor is wanted.</summary>
    public static implicit operator Tensor(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return parameter.Value;
    }

    /// <summary>Writes name and shape.</summary>
    public override string ToString() => $"{Name} {Shape}";
}

namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>One use of an op, and the textbook loop in double precision that says what it must give.</summary>
public sealed class OpCase
{
    private readonly Lazy<float[][]> _values;
    private readonly Lazy<double[]> _expected;
    private readonly Lazy<GradientReference> _gradients;

    /// <summary>Describes a case.</summary>
    /// <param name="name">Op and circumstances; unique, because the input values are drawn from it.</param>
    /// <param name="inputs">What the op is called with.</param>
    /// <param name="call">The op on a tape.</param>
    /// <param name="reference">The same from the inputs' values, row-major.</param>
    public OpCase(string name, IReadOnlyList<OpInput> inputs, Func<Tape, Tensor[], Tensor> call, Func<double[][], double[]> reference)
    {
        Name = name;
        Inputs = inputs;
        Call = call;
        Reference = reference;
        _values = new(() => [.. inputs.Select((input, i) => input.Values(Seed, i))]);
        _expected = new(() => reference(Widened()));
        _gradients = new(() => new GradientReference(this));
    }

    /// <summary>Op and circumstances.</summary>
    public string Name { get; }

    /// <summary>What the op is called with.</summary>
    public IReadOnlyList<OpInput> Inputs { get; }

    /// <summary>The op on a tape.</summary>
    public Func<Tape, Tensor[], Tensor> Call { get; }

    /// <summary>The same from the inputs' values, row-major.</summary>
    public Func<double[][], double[]> Reference { get; }

    /// <summary>Allowed deviation of the result, relative to its largest magnitude.</summary>
    public double Tolerance { get; init; } = 5e-6;

    /// <summary>Allowed deviation of a gradient, relative to its largest magnitude.</summary>
    public double GradientTolerance { get; init; } = 1e-5;

    /// <summary>The least magnitude that a gradient's deviation is related to: above 0 where the whole gradient cancels.</summary>
    public double GradientFloor { get; init; }

    /// <summary>Small enough for the kernel emulator.</summary>
    public bool Tiny { get; init; }

    /// <summary>The op has no gradient and refuses a tape that records.</summary>
    public bool InferenceOnly { get; init; }

    /// <summary>Whether any input has a gradient.</summary>
    public bool HasGradient => Inputs.Any(input => input.HasGradient);

    /// <summary>The inputs' values.</summary>
    public IReadOnlyList<float[]> Values => _values.Value;

    /// <summary>The textbook result.</summary>
    public double[] Expected => _expected.Value;

    /// <summary>Derivatives of the textbook result.</summary>
    public GradientReference Gradients => _gradients.Value;

    /// <summary>A number that is the name's own in every run (FNV-1a).</summary>
    internal ulong Seed => Name.Aggregate(0xCBF29CE484222325UL, (hash, letter) => (hash ^ letter) * 0x100000001B3UL);

    /// <summary>The case's name.</summary>
    public override string ToString() => Name;

    internal double[][] Widened() => [.. Values.Select(values => Array.ConvertAll(values, value => (double)value))];
}

namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>
/// Central differences, in double precision, of Σ upstream · reference(inputs): what an analytic gradient is checked against.
/// </summary>
/// <remarks>Differences of the reference, never of the op: in single precision a correct gradient looks wrong by a percent.</remarks>
public sealed class GradientReference
{
    private const double Step = 1e-5;
    private const int MostElements = 40;
    private const int UpstreamStream = 100;
    private const int DirectionStream = 200;
    private readonly OpCase _opCase;
    private readonly double[][] _inputs;

    internal GradientReference(OpCase opCase)
    {
        _opCase = opCase;
        _inputs = opCase.Widened();
        Upstream = new OpInput("upstream", [opCase.Expected.Length], -1, 1).Values(opCase.Seed, UpstreamStream);
        Inputs = [.. Enumerable.Range(0, opCase.Inputs.Count).Where(i => opCase.Inputs[i].HasGradient).Select(Differentiate)];
    }

    /// <summary>The gradient of the loss with respect to the op's result.</summary>
    public float[] Upstream { get; }

    /// <summary>One entry for each input with a gradient.</summary>
    public IReadOnlyList<InputGradient> Inputs { get; }

    private InputGradient Differentiate(int input)
    {
        int count = _inputs[input].Length;
        var elements = count <= MostElements
            ? Enumerable.Range(0, count).ToArray()
            : [.. Random(input, MostElements).Select(u => (int)(u * count)).Append(0).Append(count - 1).Distinct()];
        var unit = new double[count];
        var derivatives = Array.ConvertAll(elements, element =>
        {
            unit[element] = 1;
            double derivative = Derivative(input, unit);
            unit[element] = 0;
            return derivative;
        });
        var direction = Random(input, count).Select(u => (2 * u) - 1).ToArray();
        return new InputGradient(input, elements, derivatives, direction, Derivative(input, direction));
    }

    private double Derivative(int input, double[] direction) => (Loss(input, direction, Step) - Loss(input, direction, -Step)) / (2 * Step);

    private double Loss(int input, double[] direction, double step)
    {
        var moved = (double[][])_inputs.Clone();
        moved[input] = [.. _inputs[input].Zip(direction, (x, d) => x + (step * d))];
        return _opCase.Reference(moved).Zip(Upstream, (y, u) => y * u).Sum();
    }

    private IEnumerable<double> Random(int input, int count)
    {
        var key = new RandomKey(_opCase.Seed, (uint)(DirectionStream + input), 0);
        return Enumerable.Range(0, count).Select(i => (double)Philox.Uniform(key, 0, (uint)i));
    }
}

/// <summary>What is known of the gradient of one input.</summary>
/// <param name="Input">Which input of the case.</param>
/// <param name="Elements">Elements whose derivative was taken.</param>
/// <param name="Derivatives">Their derivatives.</param>
/// <param name="Direction">A random direction over all elements.</param>
/// <param name="DirectionalDerivative">The derivative along it.</param>
public sealed record InputGradient(int Input, int[] Elements, double[] Derivatives, double[] Direction, double DirectionalDerivative)
{
    /// <summary>Says how a gradient deviates by more than allowed, or null where it does not.</summary>
    /// <param name="gradient">The analytic gradient.</param>
    /// <param name="tolerance">Relative to the gradient's largest magnitude.</param>
    /// <param name="floor">The least that counts as largest magnitude.</param>
    public string? Fault(float[] gradient, double tolerance, double floor)
    {
        double scale = Math.Max(floor, Derivatives.Max(Math.Abs));
        for (int i = 0; i < Elements.Length; i++)
        {
            // A comparison with NaN is false: the negation finds unwritten values.
            if (!(Math.Abs(gradient[Elements[i]] - Derivatives[i]) <= tolerance * scale))
                return $"element {Elements[i]} is {gradient[Elements[i]]:g9}, expected {Derivatives[i]:g9} within {tolerance * scale:g3}";
        }
        double along = gradient.Zip(Direction, (g, d) => g * d).Sum();
        double allowed = tolerance * scale * Math.Sqrt(gradient.Length);
        return Math.Abs(along - DirectionalDerivative) <= allowed ? null
            : $"along a random direction it is {along:g9}, expected {DirectionalDerivative:g9} within {allowed:g3}";
    }
}

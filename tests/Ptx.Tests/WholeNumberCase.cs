using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A convolution or matrix product of whole numbers from 1 to 3 and from -3 to -1, whose products and sums are exact.</summary>
internal sealed class WholeNumberCase
{
    /// <summary>Room for a result's one rounding, and for rounding the correction of TF32; a wrong term is 1 or more.</summary>
    private const double Tolerance = 0.1;

    private readonly OpCase _opCase;
    private readonly float[][] _values;
    private readonly float[] _upstream;

    public WholeNumberCase(OpCase opCase)
    {
        _opCase = opCase;
        _values = [.. opCase.Inputs.Select((input, i) => Numbers(input.Shape.Count, i))];
        _upstream = Numbers(Reference(_values).Length, opCase.Inputs.Count);
    }

    /// <summary>Whether nothing follows the sums that bends them.</summary>
    private bool IsLinear => !_opCase.Name.Contains("LU", StringComparison.Ordinal)
        && !_opCase.Name.Contains("normalised", StringComparison.Ordinal);

    /// <summary>Says where a device's results or gradients are wrong; null where they are right. Gradients of what bends sums are only
    /// computed.</summary>
    public string? Fault(Device device)
    {
        double gain = device.Precision == Precision.Tf32 ? TensorFloat32.Correction : 1;
        using var tape = device.NewTape(recording: _opCase.HasGradient);
        var inputs = _opCase.Inputs.Select((input, i) => tape.Constant(input.Shape, _values[i])).ToArray();
        int[] watched = [.. Enumerable.Range(0, inputs.Length).Where(i => _opCase.Inputs[i].HasGradient)];
        foreach (int i in watched)
            tape.Watch(inputs[i]);
        var result = _opCase.Call(tape, inputs);
        string? fault = Compare("result", result.ToArray(), Expected(gain), IsLinear ? 0 : 2e-3);
        if (fault is not null || watched.Length == 0)
            return fault;
        tape.Backward(result, tape.Constant(result.Shape, _upstream));
        return !IsLinear ? null
            : watched.Select(i => FaultOfGradient(i, tape.Gradient(inputs[i])!.ToArray(), gain)).FirstOrDefault(found => found is not null);
    }

    /// <summary>The sums of products, corrected as the tile corrects them, and what is added to them.</summary>
    private double[] Expected(double gain)
    {
        double[] all = Reference(_values);
        if (!IsLinear)
            return all;
        double[] added = Reference([.. _values.Select((values, i) => IsFactor(i) ? new float[values.Length] : values)]);
        return [.. all.Zip(added, (value, addend) => (gain * (value - addend)) + addend)];
    }

    /// <summary>The op is linear in every input, so the difference of two results is the gradient's component along a direction. Every
    /// element has a part in it that no other slip than an equal and opposite one makes good.</summary>
    private string? FaultOfGradient(int input, float[] gradient, double gain)
    {
        float[] direction = Numbers(gradient.Length, 100 + input);
        var moved = (float[][])_values.Clone();
        moved[input] = [.. _values[input].Zip(direction, (value, step) => value + step)];
        double expected = Reference(moved).Zip(Reference(_values), (there, here) => there - here).Zip(_upstream, (d, u) => d * u).Sum();
        double along = gradient.Zip(direction, (g, d) => (double)g * d).Sum() / (IsFactor(input) ? gain : 1);
        // A comparison with NaN is false: the negation finds unwritten values.
        return !(Math.Abs(along - expected) < 5 * Tolerance)
            ? $"gradient of {_opCase.Inputs[input].Name} along a direction is {along:g9}, expected {expected:g9}" : null;
    }

    /// <param name="bend">Relative to the expected value, what the correction of TF32 may make of a bent sum.</param>
    private static string? Compare(string what, float[] actual, double[] expected, double bend)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) < Tolerance + (bend * Math.Abs(expected[i]))))
                return $"{what}[{i}] is {actual[i]:g9}, expected {expected[i]:g9}";
        }
        return null;
    }

    /// <summary>Whether an input is multiplied; others are added to what was summed, or lie beside it.</summary>
    private bool IsFactor(int input) => _opCase.Inputs[input].Name is not ("bias" or "residual" or "around");

    private double[] Reference(float[][] values)
        => _opCase.Reference([.. values.Select(array => Array.ConvertAll(array, value => (double)value))]);

    /// <summary>±1, ±2 and ±3 in an order without a period.</summary>
    private static float[] Numbers(long count, int stream)
    {
        var numbers = new float[count];
        uint state = 2463534242u + (uint)(7919 * stream);
        for (int i = 0; i < numbers.Length; i++)
        {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            int value = (int)(state % 6);
            numbers[i] = value < 3 ? value - 3 : value - 2;
        }
        return numbers;
    }
}

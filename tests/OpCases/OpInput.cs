namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>One tensor that an op case is called with: uniform random values in a range, the same in every run.</summary>
/// <param name="Name">The argument's name, for messages.</param>
/// <param name="Shape">Its extents.</param>
/// <param name="Low">Smallest value.</param>
/// <param name="High">Largest value.</param>
public sealed record OpInput(string Name, Shape Shape, double Low = -2, double High = 2)
{
    /// <summary>Whether the op has a gradient with respect to it.</summary>
    public bool HasGradient { get; init; } = true;

    /// <summary>Values written over the random ones, spread evenly from the first on.</summary>
    public float[] Planted { get; init; } = [];

    /// <summary>Makes the values.</summary>
    /// <param name="seed">The case's.</param>
    /// <param name="stream">Which input of the case.</param>
    internal float[] Values(ulong seed, int stream)
    {
        var key = new RandomKey(seed, (uint)stream, 0);
        var values = new float[Shape.Count];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(Low + ((High - Low) * Philox.Uniform(key, 0, (uint)i)));
        for (int i = 0; i < Planted.Length; i++)
            values[i * (values.Length / Planted.Length)] = Planted[i];
        return values;
    }
}

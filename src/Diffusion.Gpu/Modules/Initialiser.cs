using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Fills a new parameter.</summary>
internal delegate void Initialiser(Span<float> values, in RandomKey key);

/// <summary>The initial distributions that PyTorch's modules use by default.</summary>
internal static class Initialise
{
    public static Initialiser Ones { get; } = static (Span<float> values, in RandomKey _) => values.Fill(1);

    /// <summary>Standard normal.</summary>
    public static Initialiser Normal { get; } = static (Span<float> values, in RandomKey key) =>
    {
        for (int i = 0; i < values.Length; i++)
            values[i] = Philox.Normal(key, 0, (uint)i);
    };

    /// <summary>Uniform in ±1/√inputs, for the weights and the bias of a layer of that many inputs per output.</summary>
    /// <remarks>He et al., 2015, with the slope √5 that PyTorch's Conv2d and Linear pass.</remarks>
    public static Initialiser Uniform(int inputs)
    {
        float bound = 1 / MathF.Sqrt(inputs);
        return (Span<float> values, in RandomKey key) =>
        {
            for (int i = 0; i < values.Length; i++)
                values[i] = bound * ((2 * Philox.Uniform(key, 0, (uint)i)) - 1);
        };
    }
}

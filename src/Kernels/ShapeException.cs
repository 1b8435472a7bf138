namespace Diffusion.Gpu.Kernels;

/// <summary>An op was given a tensor of the wrong shape.</summary>
public sealed class ShapeException : ArgumentException
{
    /// <summary>Describes what an op got and what it wanted.</summary>
    /// <param name="op">The op's name, such as Conv2D.</param>
    /// <param name="argument">The argument's name.</param>
    /// <param name="got">What was given.</param>
    /// <param name="wanted">What is expected.</param>
    public ShapeException(string op, string argument, string got, string wanted)
        : base($"{op}: {argument} is {got}, expected {wanted}.")
    {
        Op = op;
        Argument = argument;
        Got = got;
        Wanted = wanted;
    }

    /// <summary>The op's name.</summary>
    public string Op { get; }

    /// <summary>The argument's name.</summary>
    public string Argument { get; }

    /// <summary>What was given.</summary>
    public string Got { get; }

    /// <summary>What is expected.</summary>
    public string Wanted { get; }
}

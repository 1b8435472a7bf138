using System.Globalization;
using System.Numerics;

namespace Diffusion.Gpu;

/// <summary>Says which option has an impossible value and what is possible.</summary>
public sealed class OptionException : ArgumentException
{
    /// <summary>Describes an impossible value.</summary>
    /// <param name="option">The option's name as in files and on the command line, in snake case: train_batch_size.</param>
    /// <param name="value">What was given.</param>
    /// <param name="expectation">What is possible: "a whole number of at least 1".</param>
    public OptionException(string option, object? value, string expectation)
        : base(string.Create(CultureInfo.InvariantCulture, $"{option} is {value ?? "missing"}; expected {expectation}"))
    {
        Option = option;
        Value = value;
        Expectation = expectation;
    }

    /// <summary>The option's name in snake case.</summary>
    public string Option { get; }

    /// <summary>What was given.</summary>
    public object? Value { get; }

    /// <summary>What is possible.</summary>
    public string Expectation { get; }

    /// <summary>Passes a value of at least a limit through.</summary>
    internal static T AtLeast<T>(string option, T value, T smallest)
        where T : INumber<T>
        => value >= smallest
            ? value
            : throw new OptionException(option, value, string.Create(CultureInfo.InvariantCulture, $"at least {smallest}"));

    /// <summary>Passes a value through that satisfies a condition.</summary>
    internal static T That<T>(bool condition, string option, T value, string expectation)
        => condition ? value : throw new OptionException(option, value, expectation);
}

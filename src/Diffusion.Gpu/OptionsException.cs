using System.Globalization;

namespace Diffusion.Gpu;

/// <summary>An option has a value that cannot be used.</summary>
public sealed class OptionsException : ArgumentException
{
    /// <summary>Describes a value that cannot be used.</summary>
    /// <param name="option">The option's name as on the command line, such as dim-mults.</param>
    /// <param name="got">Its value.</param>
    /// <param name="wanted">What is expected.</param>
    public OptionsException(string option, object? got, string wanted)
        : base(string.Create(CultureInfo.InvariantCulture, $"option {option} is {got ?? "not set"}, expected {wanted}."))
    {
        Option = option;
        Wanted = wanted;
    }

    /// <summary>The option's name as on the command line, such as dim-mults.</summary>
    public string Option { get; }

    /// <summary>What is expected.</summary>
    public string Wanted { get; }

    /// <summary>Refuses a value for which a condition does not hold.</summary>
    internal static void ThrowUnless(bool holds, string option, object? got, string wanted)
    {
        if (!holds)
            throw new OptionsException(option, got, wanted);
    }
}

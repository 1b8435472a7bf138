using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Diffusion.Gpu.Cli;

/// <summary>What an option's text is read as.</summary>
internal enum OptionKind
{
    Flag,
    Whole,
    Number,
    Text,
    WholeList,
    NumberList,
    FlagList,
}

/// <summary>One training option: its name on the command line and in a configuration file.</summary>
/// <param name="Name">As the reference trainer calls it, in kebab case.</param>
/// <param name="Kind">What the text is read as.</param>
/// <param name="Help">One sentence with the unit.</param>
internal sealed record OptionEntry(string Name, OptionKind Kind, string Help);

/// <summary>Adds a list of <see cref="OptionEntry"/> to a command and collects what the user gave as JSON.</summary>
/// <remarks>Only given options are collected: defaults live in the option records of the library, and nowhere else.</remarks>
internal sealed class OptionTable
{
    private readonly List<(OptionEntry Entry, Option<string> Option)> _options = [];

    /// <param name="command">Receives the options.</param>
    /// <param name="entries">The options.</param>
    /// <param name="defaults">The default of each, by name, for the help text.</param>
    public OptionTable(Command command, IEnumerable<OptionEntry> entries, JsonObject defaults)
    {
        foreach (var entry in entries)
        {
            var option = new Option<string>("--" + entry.Name)
            {
                Description = $"{entry.Help} Default: {Show(defaults[entry.Name])}.",
                HelpName = NameOf(entry.Kind),
                Arity = entry.Kind == OptionKind.Flag ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
            };
            command.Add(option);
            _options.Add((entry, option));
        }
    }

    /// <summary>The options that were given, as a configuration file would hold them.</summary>
    /// <exception cref="UsageException">A text is not of its option's kind.</exception>
    public JsonObject Collect(ParseResult result)
    {
        var given = new JsonObject();
        foreach (var (entry, option) in _options)
        {
            if (result.GetResult(option) is { Implicit: false })
                given[entry.Name] = Read(entry, result.GetValue(option));
        }
        return given;
    }

    private static JsonNode? Read(OptionEntry entry, string? text)
    {
        if (string.Equals(text, "none", StringComparison.OrdinalIgnoreCase))
            return null;
        return entry.Kind switch
        {
            OptionKind.Flag => text is null ? JsonValue.Create(true) : ReadFlag(entry, text),
            OptionKind.Whole => ReadWhole(entry, text!),
            OptionKind.Number => ReadNumber(entry, text!),
            OptionKind.Text => text,
            OptionKind.WholeList => List(text!, item => ReadWhole(entry, item)),
            OptionKind.NumberList => List(text!, item => ReadNumber(entry, item)),
            _ => List(text!, item => ReadFlag(entry, item)),
        };
    }

    private static JsonArray List(string text, Func<string, JsonNode> read)
        => [.. text.Trim('(', ')', '[', ']').Split([',', ' '], StringSplitOptions.RemoveEmptyEntries).Select(read)];

    private static JsonNode ReadFlag(OptionEntry entry, string text) => text.ToLowerInvariant() switch
    {
        "true" or "yes" or "on" or "1" => true,
        "false" or "no" or "off" or "0" => false,
        _ => throw Wrong(entry, text, "true or false"),
    };

    private static JsonNode ReadWhole(OptionEntry entry, string text)
        => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw Wrong(entry, text, "a whole number");

    private static JsonNode ReadNumber(OptionEntry entry, string text)
        => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
            ? value
            : throw Wrong(entry, text, "a number such as 0.0001 or 1e-4");

    private static UsageException Wrong(OptionEntry entry, string text, string wanted)
        => new($"--{entry.Name} {text}: expected {(entry.Kind >= OptionKind.WholeList ? "a comma-separated list, each " : "")}{wanted}.");

    private static string NameOf(OptionKind kind) => kind switch
    {
        OptionKind.Flag => "true|false",
        OptionKind.Whole => "N",
        OptionKind.Number => "X",
        OptionKind.WholeList => "N,N,…",
        OptionKind.NumberList => "X,X,…",
        OptionKind.FlagList => "true|false,…",
        _ => "TEXT",
    };

    private static string Show(JsonNode? value) => value switch
    {
        null => "none",
        JsonArray list => string.Join(",", list.Select(Show)),
        _ => value.ToJsonString().Trim('"'),
    };
}

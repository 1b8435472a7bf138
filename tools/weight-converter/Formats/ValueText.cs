using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Shows the values of a saved object. The object was walked by <see cref="ValueTree"/> before, so its depth is bounded.</summary>
internal static class ValueText
{
    private const int LongestShown = 80;

    /// <summary>A value in Python's notation, cut off where it is long.</summary>
    public static string Short(object? value)
    {
        string text = value switch
        {
            null => "None",
            bool truth => truth ? "True" : "False",
            string words => $"\"{words}\"",
            byte[] bytes => $"{bytes.Length} bytes {Convert.ToHexStringLower(bytes.AsSpan(0, Math.Min(bytes.Length, LongestShown / 2)))}",
            PickleDictionary { Items.Count: 0 } => "{}",
            PickleSequence { Items.Count: 0 } sequence
                => sequence.Kind switch { SequenceKind.List => "[]", SequenceKind.Tuple => "()", _ => "set()" },
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => PickleFault.Kind(value),
        };
        return text.Length <= LongestShown ? text : $"{text[..LongestShown]}… ({text.Length} characters)";
    }

    /// <summary>A value with its nesting; tensors by their names.</summary>
    public static JsonNode? Json(object? value, string name) => value switch
    {
        null => null,
        bool truth => truth,
        long number => number,
        double number => double.IsFinite(number) ? number : number.ToString(CultureInfo.InvariantCulture),
        BigInteger number => JsonNode.Parse(number.ToString(CultureInfo.InvariantCulture)),
        string text => text,
        byte[] bytes => new JsonObject { ["bytes"] = Convert.ToHexStringLower(bytes) },
        TorchTensor => new JsonObject { ["tensor"] = name.Length == 0 ? "tensor" : name },
        PickleSequence sequence => new JsonArray([.. sequence.Items.Select((item, i) => Json(item, Join(name, $"{i}")))]),
        PickleDictionary dictionary
            => new JsonObject(dictionary.Items.Select(item => KeyValuePair.Create(item.Key, Json(item.Value, Join(name, item.Key))))),
        _ => PickleFault.Kind(value),
    };

    private static string Join(string name, string key) => name.Length == 0 ? key : $"{name}.{key}";
}

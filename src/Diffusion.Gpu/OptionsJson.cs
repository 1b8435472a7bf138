using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Diffusion.Gpu;

/// <summary>How options are written as JSON: snake_case names, one number where a list has one entry, unknown names refused.</summary>
public static class OptionsJson
{
    /// <summary>The settings for <see cref="JsonSerializer"/>.</summary>
    public static JsonSerializerOptions Settings { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // dpm++2m stays readable
        WriteIndented = true,
    };

    /// <summary>The same on one line.</summary>
    internal static JsonSerializerOptions Compact { get; } = new(Settings) { WriteIndented = false };

    /// <summary>Writes options.</summary>
    public static string Write<T>(T options) => JsonSerializer.Serialize(options, Settings);

    /// <summary>Reads options.</summary>
    /// <param name="json">An object with snake_case names; what is absent keeps its default.</param>
    /// <exception cref="JsonException">The text is no JSON, a name is unknown or a value has the wrong type.</exception>
    public static T Read<T>(string json)
        => JsonSerializer.Deserialize<T>(json, Settings) ?? throw new JsonException("expected an object, got null");
}

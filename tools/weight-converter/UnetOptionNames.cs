using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>The options that say what a U-Net's weights do not, under the names of 'diffusion train'.</summary>
internal static class UnetOptionNames
{
    public static IReadOnlyList<Option<string>> Create() =>
    [
        Named("image-size", "N", "Height and width of the images in pixels; two numbers for height,width."),
        Named("objective", "pred_noise|pred_x0|pred_v", "What the network was trained to predict."),
        Named("timesteps", "N", "Steps of the process."),
        Named("beta-schedule", "linear|cosine|sigmoid", "How noise grows over the steps."),
        Named("channels", "N", "Channels of the images, where the shapes leave a choice (with self-condition and learned variance)."),
        Named("self-condition", "true|false", "Whether the network sees its previous estimate, where the shapes leave a choice."),
        Named("learned-variance", "true|false", "Whether it predicts the variance, where the shapes leave a choice."),
    ];

    /// <summary>What was given, as JSON: the file first, the options over it.</summary>
    /// <exception cref="OptionsException">The file is no JSON object.</exception>
    public static JsonObject Collect(ParseResult result, IReadOnlyList<Option<string>> options, string? file)
    {
        var given = file is null ? [] : ReadFile(file);
        foreach (var option in options)
        {
            if (result.GetValue(option) is not { } text)
                continue;
            string name = option.Name.TrimStart('-');
            given.Remove(name.Replace('-', '_'));
            given[name] = Value(text);
        }
        return given;
    }

    private static Option<string> Named(string name, string shown, string help)
        => new("--" + name) { Description = help, HelpName = shown };

    private static JsonObject ReadFile(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(file)) as JsonObject ?? throw new JsonException("not an object");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{file}: cannot be read ({error.Message.TrimEnd('.')}); check the path of --config", error);
        }
        catch (JsonException error)
        {
            throw new OptionsException("config", $"{file}: no JSON object ({error.Message.TrimEnd('.')})",
                "an object such as {\"image-size\": 64}");
        }
    }

    private static JsonNode Value(string text)
    {
        if (bool.TryParse(text, out bool flag))
            return flag;
        string[] parts = text.Split(',');
        if (!Array.TrueForAll(parts, part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
            return text;
        int[] numbers = Array.ConvertAll(parts, part => int.Parse(part, CultureInfo.InvariantCulture));
        return numbers is [var one] ? one : new JsonArray([.. numbers.Select(number => (JsonNode)number)]);
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;

namespace Diffusion.Gpu.Cli.Scoring;

/// <summary>A JSON file of scoring options that stands where --fid names a stage.</summary>
internal static class PolicyFile
{
    /// <summary>Puts the options of the file that "fid" names under those that were given beside it; a stage stays.</summary>
    /// <param name="given">Options with kebab-case names; changed.</param>
    /// <exception cref="UsageException">The file is no JSON object of scoring options.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static void Expand(JsonObject given)
    {
        if (given["fid"] is not JsonValue value || !value.TryGetValue(out string? path)
            || !path.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
            return;
        given["fid"] = "validation";
        string[] names = [.. TrainOptions.Scoring.Select(option => option.Name)];
        foreach (var (key, item) in Read(path))
        {
            string name = key.Replace('_', '-');
            if (!names.Contains(name))
                throw new UsageException($"{path}: option {key} is unknown there, expected any of {string.Join(", ", names)}.");
            if (name == "fid" || !given.ContainsKey(name))
                given[name] = item?.DeepClone();
        }
    }

    private static JsonObject Read(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(path)) as JsonObject
                ?? throw new UsageException($"{path}: expected an object such as {{\"fid\": \"final\", \"num-fid-samples\": 5000}}.");
        }
        catch (JsonException error)
        {
            throw new UsageException($"{path}: is no JSON ({error.Message.TrimEnd('.')}); "
                + $"expected an object such as {{\"fid\": \"final\"}}.");
        }
    }
}

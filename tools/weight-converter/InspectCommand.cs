using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Diffusion.Gpu.WeightConverter.Formats;
using Diffusion.Gpu.WeightConverter.Maps;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>weight-converter inspect: what is in a file.</summary>
internal static class InspectCommand
{
    private const int ShownHash = 12;

    public static Command Create(TextWriter output, TextWriter error)
    {
        var file = new Argument<string>("FILE") { Description = "A .pt, .pth or .safetensors file." };
        var json = new Option<bool>("--json")
            { Description = "Write one JSON object, with full hashes and the nesting of the saved object." };
        var command = new Command("inspect", """
        Show what is in a file: its format, the model it seems to hold, every tensor with shape, type and SHA-256, and every other value.

        Example: weight-converter inspect model-100.pt
        """)
        {
            file, json,
        };
        command.SetAction(result =>
        {
            using var weights = WeightFile.Open(result.GetValue(file)!);
            var hashes = Hash(weights, error);
            if (result.GetValue(json))
                output.WriteLine(ToJson(weights, hashes).ToJsonString(new JsonSerializerOptions { WriteIndented = true, MaxDepth = 256 }));
            else
                Write(weights, hashes, output);
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>SHA-256 of every tensor's elements, little-endian and row-major.</summary>
    private static Dictionary<string, string> Hash(WeightFile file, TextWriter error)
    {
        using var line = new ProgressLine(error, "hashing");
        using var interruption = new Interruption();
        long done = 0, total = file.Tensors.Sum(tensor => tensor.ByteLength);
        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var tensor in file.Tensors)
        {
            using var hash = SHA256.Create();
            using (var stream = new CryptoStream(Stream.Null, hash, CryptoStreamMode.Write, leaveOpen: true))
            {
                file.CopyTo(tensor,
                    new WatchedStream(stream, bytes => line.Report(new ConversionProgress(done += bytes, total)), interruption.Token));
            }
            hashes.Add(tensor.Name, Convert.ToHexStringLower(hash.Hash!));
        }
        return hashes;
    }

    private static void Write(WeightFile file, Dictionary<string, string> hashes, TextWriter output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{file.Path}: {file.Format}, {new FileInfo(file.Path).Length:N0} bytes"));
        output.WriteLine($"holds {Model(file)}");
        if (file.Tensors.Count > 0)
        {
            int name = Math.Min(72, file.Tensors.Max(tensor => FailureReport.Printable(tensor.Name).Length));
            int shape = file.Tensors.Max(tensor => tensor.ShapeText.Length), type = file.Tensors.Max(tensor => tensor.Type.Name.Length);
            output.WriteLine($"\n{file.Tensors.Count} tensors (name, type, shape, SHA-256):");
            foreach (var tensor in file.Tensors)
            {
                output.WriteLine($"  {FailureReport.Printable(tensor.Name).PadRight(name)}  {tensor.Type.Name.PadRight(type)}  "
                    + $"{tensor.ShapeText.PadRight(shape)}  {hashes[tensor.Name][..ShownHash]}");
            }
        }
        var values = file.Scalars.Concat(file.Metadata.Select(pair => (pair.Key, (object?)pair.Value))).ToList();
        if (values.Count > 0)
        {
            output.WriteLine($"\n{values.Count} other values:");
            foreach (var (name, value) in values)
                output.WriteLine($"  {FailureReport.Printable(name)} = {FailureReport.Printable(ValueText.Short(value))}");
        }
    }

    private static string Model(WeightFile file)
    {
        try
        {
            return ModelGuess.Of(file, SourceModel.Auto).ToString();
        }
        catch (IOException error)
        {
            return $"no model that can be used as it is ({FailureReport.Printable(error.Message)})";
        }
    }

    private static JsonObject ToJson(WeightFile file, Dictionary<string, string> hashes)
    {
        var json = new JsonObject
        {
            ["file"] = file.Path,
            ["format"] = file.Format,
            ["bytes"] = new FileInfo(file.Path).Length,
            ["model"] = Model(file),
            ["tensors"] = new JsonArray([.. file.Tensors.Select(tensor => (JsonNode)new JsonObject
            {
                ["name"] = tensor.Name,
                ["dtype"] = tensor.Type.Name,
                ["shape"] = new JsonArray([.. tensor.Shape.Select(size => (JsonNode)size)]),
                ["bytes"] = tensor.ByteLength,
                ["sha256"] = hashes[tensor.Name],
            })]),
            ["metadata"] = new JsonObject(file.Metadata.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
        };
        if (file.Root is not null)
            json["contents"] = ValueText.Json(file.Root, "");
        return json;
    }
}

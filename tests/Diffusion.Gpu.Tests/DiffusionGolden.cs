using System.Text.Json;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Samplers;

namespace Diffusion.Gpu.Tests;

/// <summary>The networks and processes that the diffusion golden files were made with.</summary>
internal static class DiffusionGolden
{
    /// <summary>The network that a file was made with.</summary>
    public static Unet Network(Device device, string net)
    {
        using var golden = GoldenFile.Open("diffusion/nets");
        var options = JsonNode.Parse(golden.Config.GetProperty("unet").GetRawText())!.AsObject();
        foreach (var option in golden.Config.GetProperty("nets").GetProperty(net).EnumerateObject())
            options[option.Name] = JsonNode.Parse(option.Value.GetRawText());
        return UnetGolden.Network(device, OptionsJson.Read<UnetOptions>(options.ToJsonString()), golden, net + "/");
    }

    /// <summary>The network that a file was made with.</summary>
    public static Unet Network(Device device, GoldenFile golden)
        => Network(device, golden.Config.TryGetProperty("net", out var net) ? net.GetString()! : "plain");

    /// <summary>The process that a file was made with.</summary>
    public static GaussianDiffusion Process(GoldenFile golden, Func<DiffusionOptions, DiffusionOptions>? change = null)
    {
        string[] foreign = ["net", "random", "class", "batch", "t", "lam", "vb_loss_weight"];
        var options = JsonNode.Parse(golden.Config.GetRawText())!.AsObject();
        foreach (string name in foreign)
            options.Remove(name);
        options["image_size"] = 8;
        var read = OptionsJson.Read<DiffusionOptions>(options.ToJsonString());
        return new GaussianDiffusion(change is null ? read : change(read));
    }

    /// <summary>A number of the file's configuration, or null.</summary>
    public static double? Number(GoldenFile golden, string name)
        => golden.Config.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    public static int[] Times(GoldenFile golden, string name) => Array.ConvertAll(golden.Integers(name), t => (int)t);
}

/// <summary>The noise of a golden file: in.noise [draws, N, C, H, W].</summary>
internal sealed class RecordedNoise(GoldenFile golden) : INoiseSource
{
    private readonly float[] _values = UnetGolden.ChannelsLast(golden.Singles("in.noise"), golden.Shape("in.noise"));

    /// <summary>Draws that were asked for.</summary>
    public HashSet<int> Used { get; } = [];

    public Tensor Draw(Tape tape, Shape shape, int draw)
    {
        Used.Add(draw);
        return tape.Constant(shape, _values.AsSpan(draw * (int)shape.Count, (int)shape.Count));
    }
}

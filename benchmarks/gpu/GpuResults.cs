using System.Text.Json;
using System.Text.Json.Serialization;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>One timing. Rows of two engines that agree in all five names are of the same work.</summary>
/// <param name="Part">The kind of work: convolution, matmul, root, training, sampling, inception, tiles.</param>
/// <param name="Network">Where a network does it, else empty: "unet-32" sees images of 32 × 32.</param>
/// <param name="Name">The layer, or the size.</param>
/// <param name="Pass">forward, input gradient, filter gradient; else empty.</param>
/// <param name="Precision">float32, tf32, bf16, float64; of a compiler, with its name behind.</param>
internal sealed record GpuRow(string Part, string Network, string Name, string Pass, string Precision)
{
    /// <summary>How often the network does it.</summary>
    public int Times { get; init; } = 1;

    /// <summary>The median, of one execution.</summary>
    public double Seconds { get; init; }

    /// <summary>The shortest.</summary>
    public double Least { get; init; }

    /// <summary>The median without what launching costs the host, where an engine can tell; else 0.</summary>
    public double GraphSeconds { get; init; }

    /// <summary>Operations, a multiply-add counting two; 0 where nobody counted.</summary>
    public double Flop { get; init; }

    /// <summary>Images of one execution; 0 where it is not about images.</summary>
    public int Images { get; init; }

    /// <summary>The most memory of the device that was ever in use, in bytes; 0 where nobody looked.</summary>
    public long PeakBytes { get; init; }
}

/// <summary>A part of the work that has no complete result, and why.</summary>
/// <param name="Part">Its name.</param>
/// <param name="Why">In words.</param>
/// <param name="Failed">Whether something broke, rather than ran out of time.</param>
internal sealed record GpuGap(string Part, string Why, bool Failed);

/// <summary>What one engine measured on one device: the form of every result file, whoever writes it.</summary>
internal sealed record GpuResults
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>Who measured.</summary>
    public string Engine { get; init; } = "";

    /// <summary>The device's name.</summary>
    public string Device { get; init; } = "";

    /// <summary>Driver and versions, one fact a line.</summary>
    public List<string> Facts { get; init; } = [];

    /// <summary>Whether sizes were reduced to try the program out: such figures say nothing of the device.</summary>
    public bool Quick { get; init; }

    /// <summary>The timings.</summary>
    public List<GpuRow> Rows { get; init; } = [];

    /// <summary>What is missing.</summary>
    public List<GpuGap> Gaps { get; init; } = [];

    /// <summary>Reads a file.</summary>
    /// <exception cref="JsonException">It is no such file.</exception>
    public static GpuResults Read(string file) => JsonSerializer.Deserialize<GpuResults>(File.ReadAllText(file), Format)
        ?? throw new JsonException($"{file}: is empty, expected the results of an engine");

    /// <summary>Writes a file in one step, so that a run which dies leaves what it had.</summary>
    /// <param name="file">Replaced where it exists.</param>
    /// <param name="pending">Parts that have not come to their end yet: gaps, unless the file is written again.</param>
    public void Write(string file, IEnumerable<string> pending)
    {
        var all = this with { Gaps = [.. Gaps, .. pending.Select(part => new GpuGap(part, "was ended before its end", Failed: false))] };
        File.WriteAllText(file + ".partial", JsonSerializer.Serialize(all, Format));
        File.Move(file + ".partial", file, overwrite: true);
    }

    /// <summary>The document of such a file.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, Format);
}

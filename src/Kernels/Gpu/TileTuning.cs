using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels;

/// <summary>The fastest tile of each product as measured on one device with one driver; kept beside the compiled kernels.</summary>
/// <remarks>All tiles but those of a warpgroup give the same bits, so a choice between them never changes a result; where a warpgroup's was
/// the fastest, results may differ in the last bits from those of a device without this file. Products that differ in lines alone, as those
/// of batches do, have one kind of tile, that of the first one measured: an image's bits do not depend on its batch. With the same file
/// every run gives the same bits.</remarks>
/// <param name="folder">Where the file lies; null keeps nothing.</param>
/// <param name="device">Whose name and driver the file is for.</param>
internal sealed class TileTuning(string? folder, DeviceInfo device)
{
    private const int Repetitions = 5;

    private readonly Dictionary<TileProduct, TileSize> _fastest = Read(folder, device);

    /// <summary>The first tile that was measured of products with other lines, by the product without them.</summary>
    private Dictionary<TileProduct, TileSize>? _kinds;

    /// <summary>Told each product as its tiles have been timed; null outside a tuning run.</summary>
    public Action<TileProduct, TileSize>? Tuned { get; set; }

    /// <summary>Products whose fastest tile is known.</summary>
    public int Count => _fastest.Count;

    /// <summary>The fastest tile of a product: known, or timed now in a tuning run; null where neither is so.</summary>
    /// <param name="product">Which.</param>
    /// <param name="candidates">Tiles that it can have on this device.</param>
    /// <param name="multiply">Launches it by one tile.</param>
    /// <param name="wait">Waits for its end.</param>
    public TileSize? Find(in TileProduct product, IReadOnlyList<TileSize> candidates, Action<TileSize>? multiply = null,
        Action? wait = null)
    {
        if (_fastest.TryGetValue(product, out var tile) && candidates.Contains(tile))
            return tile;
        _kinds ??= _fastest.GroupBy(entry => entry.Key with { Lines = 0 }).ToDictionary(group => group.Key, group => group.First().Value);
        bool hasKind = _kinds.TryGetValue(product with { Lines = 0 }, out var kind);
        if (Tuned is null || multiply is null || wait is null)
            return hasKind && kind.IsWarpgroup && candidates.Contains(kind) ? kind : null;
        tile = candidates.Where(candidate => !hasKind || candidate.IsWarpgroup == kind.IsWarpgroup)
            .MinBy(candidate => Time(candidate, multiply, wait));
        _fastest[product] = tile;
        _kinds.TryAdd(product with { Lines = 0 }, tile);
        Tuned(product, tile);
        return tile;
    }

    /// <summary>Writes what is known.</summary>
    /// <returns>The file, or null where nothing is kept.</returns>
    /// <exception cref="IOException">It cannot be written.</exception>
    public string? Save()
    {
        if (folder is null)
            return null;
        var tiles = new JsonArray([.. _fastest.Select(entry => (JsonNode)new JsonObject
        {
            ["precision"] = entry.Key.Precision.ToString(),
            ["product"] = entry.Key.Kind,
            ["lines"] = entry.Key.Lines,
            ["columns"] = entry.Key.Columns,
            ["depth"] = entry.Key.Depth,
            ["slices"] = entry.Key.Slices,
            ["tile"] = entry.Value.ToString(),
        })]);
        var root = new JsonObject { ["device"] = device.Name, ["driver"] = device.Driver, ["tiles"] = tiles };
        Directory.CreateDirectory(folder);
        string file = FileOf(folder, device);
        AtomicFile.Write(file, stream => JsonSerializer.Serialize(stream, root));
        return file;
    }

    /// <summary>The shortest of some runs, after one that compiles the kernel.</summary>
    private static double Time(TileSize tile, Action<TileSize> multiply, Action wait)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i <= Repetitions; i++)
        {
            wait();
            long start = Stopwatch.GetTimestamp();
            multiply(tile);
            wait();
            if (i > 0)
                best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }

    private static Dictionary<TileProduct, TileSize> Read(string? folder, DeviceInfo device)
    {
        var fastest = new Dictionary<TileProduct, TileSize>();
        string? file = folder is null ? null : FileOf(folder, device);
        if (file is null || !File.Exists(file))
            return fastest;
        try
        {
            var root = JsonNode.Parse(File.ReadAllText(file))!;
            foreach (var entry in root["tiles"]!.AsArray())
            {
                // A tile that the program no longer has is no choice.
                var known = TileChoice.AllAndWarpgroups.Where(tile => tile.ToString() == (string)entry!["tile"]!).ToList();
                if (known is [var tile])
                {
                    fastest[new TileProduct(Enum.Parse<Precision>((string)entry!["precision"]!), (string)entry["product"]!,
                        (int)entry["lines"]!, (int)entry["columns"]!, (int)entry["depth"]!, (int)entry["slices"]!)] = tile;
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException
            or NullReferenceException or FormatException or ArgumentException)
        {
            // A damaged file is no measurement; the counted choice remains, and tuning again replaces the file.
            fastest.Clear();
        }
        return fastest;
    }

    private static string FileOf(string folder, DeviceInfo device)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{device.Name}\n{device.Driver}"));
        return Path.Combine(folder, $"tiles-{Convert.ToHexStringLower(hash)[..12]}.json");
    }
}

using System.Globalization;
using System.Text;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>
/// What every convolution and matrix product of the networks costs a GPU by count: operations, bytes, tiles, waves, and the time below
/// which it cannot run. The products are those that the networks launch, noted while nothing is computed.
/// </summary>
internal static class RooflineSheet
{
    private static readonly (string Name, int Image, int Batch)[] Unets =
        [("U-Net, dim 64, 32 x 32", 32, 16), ("U-Net, dim 64, 128 x 128", 128, 4)];

    private const int InceptionBatch = 16;

    /// <summary>Prints the sheet and writes it to a file.</summary>
    /// <param name="args">The file; benchmarks/results/roofline-sheet.md where none is named.</param>
    public static int Run(string[] args)
    {
        string sheet = Sheet();
        Console.Write(sheet);
        File.WriteAllText(args is [var file, ..] ? file : Path.Combine("benchmarks", "results", "roofline-sheet.md"), sheet);
        return 0;
    }

    private static string Sheet()
    {
        GpuRoof[] roofs = [GpuRoof.H200, GpuRoof.Rtx4090];
        var sheet = new StringBuilder();
        sheet.AppendLine("""
# Products of the networks by count

Counted, not measured: nothing here was run on a GPU. A row is a product that a network launches, for how many layers, and the first of
them. Lines, columns and depth are of a forward convolution pixels, output channels and taps x input channels; of the input's gradient
pixels, input channels and taps x output channels; of the filter's gradient output channels, taps x input channels and pixels. Must move:
operands read once (an image, not its patches) and the result written; moves: what the tiles copy into shared memory, from the second-level
cache or from memory, the parts of split sums, written and read, and the result. Waves: how often the device is filled, each multiprocessor
holding as many groups as the tile's registers are reserved for. Time: the whole tiles of the busiest multiprocessor at the peak of the data
sheet, or operands and result (or its parts) at the memory's bandwidth, whichever is longer; beside it, where a sum is split, that of adding
the parts: reading them and writing the result at the memory's bandwidth. Nothing is faster, and none reaches the peak; launches, and the
rounded or padded copies that some operands are staged in, are not counted. The floor of a network is the sum over its products of
operations at peak or bytes that must move at bandwidth, whichever is longer: no tiles, no waves, no parts.
Written anew by `dotnet run -c Release --project benchmarks -- sheet`; peak figures and their sources are in `benchmarks/GpuRoof.cs`.
""");
        foreach (var precision in Enum.GetValues<Precision>().Where(precision => precision != Precision.Float32))
        {
            foreach (var (name, image, batch) in Unets)
            {
                Append(sheet, $"{name}, batch {batch}, one training step, {precision}",
                    LayerListing.OfTraining(precision, image, batch), precision, roofs);
            }
            Append(sheet, $"Inception-v3, batch {InceptionBatch}, features, {precision}",
                LayerListing.OfFeatures(precision, InceptionBatch), precision, roofs);
        }
        return sheet.ToString();
    }

    private static void Append(StringBuilder sheet, string title, IReadOnlyList<LayerProduct> products, Precision precision,
        GpuRoof[] roofs)
    {
        int elementBytes = precision == Precision.Tf32 ? sizeof(float) : sizeof(ushort);
        string names = string.Join(" / ", roofs.Select(roof => roof.Name));
        sheet.AppendLine().AppendLine($"## {title}").AppendLine();
        sheet.AppendLine("| layer | pass | lines | columns | depth | parts | times | GFLOP | must move MB | moves MB | tile "
            + $"| waves {names} | µs {names} | µs of adding parts |");
        sheet.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var group in products.GroupBy(product => product with { Layer = "" }))
        {
            var launch = group.Key.Launch;
            var cost = new ProductCost(launch, elementBytes);
            var size = launch.Product;
            string[] layers = [.. group.Select(product => product.Layer).Distinct()];
            sheet.AppendLine(CultureInfo.InvariantCulture,
                $"| {layers[0]}{(layers.Length > 1 ? $" +{layers.Length - 1}" : "")} | {launch.Pass} | {size.Lines} | {size.Columns} "
                + $"| {size.Depth} | {(launch.Split ? size.Slices : 1)} | {group.Count()} | {cost.Flop / 1e9:0.###} "
                + $"| {cost.LeastBytes / 1e6:0.##} | {cost.MovedBytes / 1e6:0.##} "
                + $"| {1 << launch.Tile.LineShift}x{1 << launch.Tile.ColumnShift} "
                + $"| {string.Join(" / ", roofs.Select(roof => cost.Waves(roof, group.Key.Held)))} "
                + $"| {Microseconds(roofs.Select(cost.Seconds))} | {(launch.Split ? Microseconds(roofs.Select(cost.SumSeconds)) : "")} |");
        }
        ProductCost[] costs = [.. products.Select(product => new ProductCost(product.Launch, elementBytes))];
        double[] floors = [.. roofs.Select(roof => costs.Sum(cost => cost.FloorSeconds(roof)))];
        double[] multiplying = [.. roofs.Select(roof => costs.Sum(cost => cost.Seconds(roof)))];
        double[] adding = [.. roofs.Select(roof => costs.Sum(cost => cost.SumSeconds(roof)))];
        sheet.AppendLine(CultureInfo.InvariantCulture,
            $"| all | | | | | | {products.Count} | {costs.Sum(cost => cost.Flop) / 1e9:0.#} | {costs.Sum(cost => cost.LeastBytes) / 1e6:0} "
            + $"| {costs.Sum(cost => cost.MovedBytes) / 1e6:0} | | | {Microseconds(multiplying)} | {Microseconds(adding)} |");
        sheet.AppendLine();
        for (int i = 0; i < roofs.Length; i++)
        {
            double all = multiplying[i] + adding[i];
            sheet.AppendLine(CultureInfo.InvariantCulture,
                $"{roofs[i].Name}: {all * 1e6:0.#} µs in all, {all / floors[i]:0.00} times the floor of {floors[i] * 1e6:0.#} µs.");
        }
    }

    private static string Microseconds(IEnumerable<double> seconds)
        => string.Join(" / ", seconds.Select(value => (value * 1e6).ToString("0.#", CultureInfo.InvariantCulture)));
}

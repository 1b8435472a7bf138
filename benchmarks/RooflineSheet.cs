using System.Globalization;
using System.Text;
using Diffusion.Gpu.Fid;
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

Counted, not measured: nothing here was run on a GPU. A row is a product that a network launches, with how often. Lines, columns and depth
are of a forward convolution pixels, output channels and taps x input channels; of the filter's gradient output channels, taps x input
channels and pixels. Must move: operands read once (an image, not its patches) and the result written; moves: what the tiles copy into
shared memory, from the second-level cache or from memory, and the result. Waves: how often the device is filled, each multiprocessor
holding as many groups as the tile's registers are reserved for. Time: the whole tiles of the busiest multiprocessor at the peak of the data
sheet, or the bytes that must move at the memory's bandwidth, whichever is longer; nothing is faster, and none reaches the peak. The
rounded or padded copies that some operands are staged in are made by passes of their own, which are not counted.
Written anew by `dotnet run -c Release --project benchmarks -- sheet`; peak figures and their sources are in `benchmarks/GpuRoof.cs`.
""");
        foreach (var precision in Enum.GetValues<Precision>().Where(precision => precision != Precision.Float32))
        {
            foreach (var (name, image, batch) in Unets)
                Append(sheet, $"{name}, batch {batch}, one training step, {precision}",
                    Record(precision, device => Train(device, image, batch)), precision, roofs);
            Append(sheet, $"Inception-v3, batch {InceptionBatch}, features, {precision}", Record(precision, Extract), precision, roofs);
        }
        return sheet.ToString();
    }

    private static void Append(StringBuilder sheet, string title, List<(TileLaunch Launch, int Held)> launches, Precision precision,
        GpuRoof[] roofs)
    {
        int elementBytes = precision == Precision.Tf32 ? sizeof(float) : sizeof(ushort);
        sheet.AppendLine().AppendLine($"## {title}").AppendLine();
        sheet.AppendLine("| product | lines | columns | depth | slices | times | GFLOP | must move MB | moves MB | tile | waves "
            + $"{string.Join(" / ", roofs.Select(roof => roof.Name))} | µs {string.Join(" / ", roofs.Select(roof => roof.Name))} |");
        sheet.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        var total = new double[3 + roofs.Length];
        foreach (var group in launches.GroupBy(entry => entry))
        {
            var (launch, held) = group.Key;
            var cost = new ProductCost(launch, elementBytes);
            var product = launch.Product;
            int times = group.Count();
            double[] values = [cost.Flop / 1e9, cost.LeastBytes / 1e6, cost.MovedBytes / 1e6,
                .. roofs.Select(roof => cost.Seconds(roof) * 1e6)];
            for (int i = 0; i < values.Length; i++)
                total[i] += times * values[i];
            sheet.AppendLine(CultureInfo.InvariantCulture,
                $"| {Name(launch)} | {product.Lines} | {product.Columns} | {product.Depth} | {product.Slices} "
                + $"| {times} | {values[0]:0.###} | {values[1]:0.##} | {values[2]:0.##} |"
                + $" {1 << launch.Tile.LineShift}x{1 << launch.Tile.ColumnShift} "
                + $"| {string.Join(" / ", roofs.Select(roof => cost.Waves(roof, held)))} | {Times(values[3..])} |");
        }
        sheet.AppendLine(CultureInfo.InvariantCulture,
            $"| all | | | | | {launches.Count} | {total[0]:0.#} | {total[1]:0} | {total[2]:0} | | | {Times(total[3..])} |");
    }

    private static string Times(double[] values)
        => string.Join(" / ", values.Select(value => value.ToString("0.#", CultureInfo.InvariantCulture)));

    /// <summary>What a product is for, from the sources of its operands.</summary>
    private static string Name(TileLaunch launch)
    {
        string kind = launch.Product.Kind;
        return launch.Split || (kind.Contains("RowsAreDepth Patch", StringComparison.Ordinal)
            || kind.Contains("RowsAreDepth Packed", StringComparison.Ordinal))
            ? "filter gradient" : kind.Contains("TurnedFilter", StringComparison.Ordinal) ? "input gradient"
            : kind.StartsWith("MatrixSource", StringComparison.Ordinal) ? "product" : "convolution";
    }

    /// <summary>Products in the order of their launches, each with the groups that a multiprocessor holds of its kernel at least.</summary>
    private static List<(TileLaunch Launch, int Held)> Record(Precision precision, Action<Device> work)
    {
        var launches = new List<(TileLaunch, int)>();
        TileLaunch? next = null;
        void Note(KernelUse use)
        {
            if (next is { } launch)
                launches.Add((launch, use.LeastGroups ?? 1));
            next = null;
        }

        using var device = new Device(GpuBackend.DescribeEmulator(), precision,
            device => new GpuBackend(device, Note) { Products = launch => next = launch });
        work(device);
        return launches;
    }

    private static void Train(Device device, int image, int batch)
    {
        using var unet = new Unet(device, new UnetOptions(), seed: 0);
        var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = image });
        using var tape = device.NewTape();
        tape.Backward(diffusion.Loss(tape, unet, tape.Constant([batch, image, image, 3], new float[batch * image * image * 3]),
            seed: 0, microStep: 0));
    }

    private static void Extract(Device device)
    {
        using var network = new InceptionV3(device, InceptionWeights.Hash());
        using var tape = device.NewTape(recording: false);
        network.Features(tape, tape.Constant([InceptionBatch, InceptionV3.ImageSize, InceptionV3.ImageSize, 3],
            new float[InceptionBatch * InceptionV3.ImageSize * InceptionV3.ImageSize * 3]));
    }
}

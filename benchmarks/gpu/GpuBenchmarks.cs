using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>
/// Times the kernels and the networks on one device, part by part within a time, in every precision that it has, and writes rows that
/// <see cref="GpuReport"/> lays beside those of other engines.
/// </summary>
internal static class GpuBenchmarks
{
    private const string Usage = """
usage: benchmarks gpu [--device cuda:0] [--json FILE] [--parts NAME,..] [--precisions NAME,..] [--seconds N] [--quick]
  --parts       those whose names begin so; all where none are named
  --seconds     time for all parts together, 120 by default; what a part leaves goes to the next ones
  --quick       tiny sizes, to try the program out: the figures mean nothing
parts: 
""";

    /// <summary>Runs the parts.</summary>
    /// <param name="args">See the usage.</param>
    /// <returns>0; 1 where a part failed, 2 where the arguments are wrong, 3 where the device is not there.</returns>
    public static int Run(string[] args)
    {
        string id = "cuda:0", file = "gpu.json";
        string[] wanted = [], precisions = [];
        double seconds = 120;
        bool quick = false;
        for (int i = 0; i < args.Length; i++)
        {
            string? value = args[i] == "--quick" || i + 1 == args.Length ? null : args[i + 1];
            switch (args[i], value)
            {
                case ("--quick", _):
                    quick = true;
                    continue;
                case ("--device", not null):
                    id = value;
                    break;
                case ("--json", not null):
                    file = value;
                    break;
                case ("--parts", not null):
                    wanted = value.Split(',');
                    break;
                case ("--precisions", not null):
                    precisions = value.Split(',');
                    break;
                case ("--seconds", not null) when double.TryParse(value, CultureInfo.InvariantCulture, out seconds):
                    break;
                default:
                    return Refuse($"{args[i]} {value}: not understood");
            }
            i++;
        }
        var devices = Device.List();
        if (devices.FirstOrDefault(device => device.Id == id) is not { Problem: null } info)
        {
            Console.Error.WriteLine($"{id}: {devices.FirstOrDefault(device => device.Id == id)?.Problem ?? "there is no such device"}; "
                + $"this machine has {string.Join(", ", devices.Where(device => device.Problem is null).Select(device => device.Id))}");
            return 3;
        }
        // Those of tensor cores first: they are judged.
        List<Precision> chosen = [.. new[] { Precision.Tf32, Precision.Bf16, Precision.Float32 }.Where(precision
            => info.Precisions.Contains(precision) && (precisions.Length == 0 || precisions.Contains(GpuRun.NameOf(precision))))];
        var results = new GpuResults { Engine = "this library", Device = info.Name, Quick = quick, Facts = [info.Driver] };
        var run = new GpuRun(info, chosen, quick, results);
        var parts = Parts(run).Where(part => wanted.Length == 0
            || wanted.Any(name => part.Name.StartsWith(name, StringComparison.Ordinal))).ToList();
        if (parts.Count == 0 || chosen.Count == 0)
            return Refuse($"no part begins with {string.Join(" or ", wanted)}, or {id} has none of {string.Join(", ", precisions)}");

        Console.WriteLine($"{info.Id}: {info.Name}, {info.Driver}; {string.Join(", ", chosen.Select(GpuRun.NameOf))}");
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < parts.Count; i++)
        {
            results.Write(file, parts[i..].Select(part => part.Name));
            double left = Math.Max(0, seconds - Stopwatch.GetElapsedTime(start).TotalSeconds);
            run.Do(parts[i].Name, left * parts[i].Weight / parts[i..].Sum(part => part.Weight), parts[i].Run);
        }
        results.Write(file, []);
        return results.Gaps.Any(gap => gap.Failed) ? 1 : 0;

        int Refuse(string reason)
        {
            Console.Error.WriteLine(reason);
            Console.Error.WriteLine(Usage.TrimEnd() + " " + string.Join(", ",
                Parts(new GpuRun(Device.List()[0], [], quick, new GpuResults())).Select(part => part.Name)));
            return 2;
        }
    }

    /// <summary>The parts, those that are judged first; the weights are their shares of the time.</summary>
    private static IEnumerable<(string Name, double Weight, Action<GpuRun> Run)> Parts(GpuRun run)
    {
        var first = run.Unets[0];
        yield return ($"convolutions {first.Name}", 8, run => ConvolutionPart.Run(run, first.Name,
            NetworkConvolution.OfUnet(first.Options, first.Image, first.Batch), gradients: true));
        yield return ("matmul", 1, ProductPart.MatMul);
        yield return ("root", 1, ProductPart.Root);
        yield return ($"training {first.Name}", 2, run => NetworkPart.Train(run, first));
        yield return ($"sampling {first.Name}", 1, run => NetworkPart.Sample(run, first));
        yield return ("inception", 2, NetworkPart.Inception);
        yield return ("convolutions inception", 2, run => ConvolutionPart.Run(run, "inception",
            NetworkConvolution.OfInception(run.InceptionBatch.Layers).Take(run.Quick ? 4 : int.MaxValue), gradients: false));
        foreach (var network in run.Unets.Skip(1))
        {
            yield return ($"convolutions {network.Name}", 3, run => ConvolutionPart.Run(run, network.Name,
                NetworkConvolution.OfUnet(network.Options, network.Image, network.Batch), gradients: true));
            yield return ($"training {network.Name}", 2, run => NetworkPart.Train(run, network));
            yield return ($"sampling {network.Name}", 1, run => NetworkPart.Sample(run, network));
        }
        yield return ("tiles", 4, TilePart.Run);
    }
}

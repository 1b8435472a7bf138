using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>weight-converter bench: how fast files are converted, beside a plain copy of the same bytes in the same run.</summary>
internal static class BenchCommand
{
    private const int Rounds = 3;
    private const int TensorBytes = 9 << 20;

    public static Command Create(TextWriter output)
    {
        var megabytes = new Option<int>("--megabytes")
            { Description = "Size of the files.", HelpName = "N", DefaultValueFactory = _ => 512 };
        var folder = new Option<string>("--folder")
        {
            Description = "Where the files are made and deleted again: the disk that is measured.",
            HelpName = "DIR",
            DefaultValueFactory = _ => Path.GetTempPath(),
        };
        var command = new Command("bench", "Convert files of random weights and compare the time with that of a plain copy.")
            { megabytes, folder };
        command.Hidden = true;
        command.SetAction(result => Run(result.GetValue(folder)!, Math.Max(16, result.GetValue(megabytes)), output));
        return command;
    }

    private static int Run(string parent, int megabytes, TextWriter output)
    {
        string folder = Path.Combine(parent, $"weight-converter-bench-{Environment.ProcessId}");
        Directory.CreateDirectory(folder);
        try
        {
            string In(string name) => Path.Combine(folder, name);
            SafetensorsWriter.Write(In("a.safetensors"), new Dictionary<string, string>(), Tensors(megabytes));
            var saved = new SavedDictionary(ordered: true);
            foreach (var tensor in Tensors(megabytes))
                saved[tensor.Entry.Name] = tensor;
            TorchWriter.WriteZip(In("a.pt"), saved);
            TorchWriter.WriteLegacy(In("a.pth"), saved);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{megabytes} MB of random weights, the best of {Rounds} rounds; MB/s read and written again, flushed to the disk"));
            output.WriteLine("| conversion | MB/s | of a copy |");
            output.WriteLine("|---|---|---|");
            double copy = Rate(In("a.safetensors"), () => Copy(In("a.safetensors"), In("b.safetensors")));
            Row("plain copy", copy);
            foreach (var (label, source, destination, floats) in new (string, string, string, ElementType?)[]
            {
                ("zip -> safetensors", "a.pt", "b.safetensors", null),
                ("legacy -> safetensors", "a.pth", "b.safetensors", null),
                ("safetensors -> safetensors", "a.safetensors", "b.safetensors", null),
                ("safetensors -> zip", "a.safetensors", "b.pt", null),
                ("zip -> bfloat16 safetensors", "a.pt", "b.safetensors", ElementType.BF16),
            })
            {
                Row(label, Rate(In(source), () => Conversion.Run(new ConversionRequest(In(source), In(destination))
                {
                    From = SourceModel.Tensors,
                    Floats = floats,
                })));
            }

            void Row(string label, double rate)
                => output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {label} | {rate:0} | {rate / copy:P0} |"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        return ExitCode.Success;
    }

    private static double Rate(string file, Action work)
    {
        double best = double.PositiveInfinity;
        for (int round = 0; round < Rounds; round++)
        {
            var clock = Stopwatch.StartNew();
            work();
            best = Math.Min(best, clock.Elapsed.TotalSeconds);
        }
        return new FileInfo(file).Length / 1e6 / best;
    }

    private static void Copy(string source, string destination)
    {
        using var input = File.OpenHandle(source);
        AtomicFile.Write(destination, stream => new TensorBytes(source, input).Copy(0, RandomAccess.GetLength(input), stream.Write));
    }

    private static IEnumerable<TensorSource> Tensors(int megabytes)
    {
        var values = new byte[TensorBytes];
        new Random(1).NextBytes(values);
        for (int i = 0; i < Math.Max(1, megabytes * 1_000_000L / TensorBytes); i++)
            yield return TensorSource.Bytes($"layers.{i}.weight", ElementType.F32, [256, 256, 6, 6], values);
    }
}

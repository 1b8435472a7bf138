using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>
/// Compares each pass of the U-Net's convolutions on the CPU with the multiply-add roof measured right beside it, so that a machine
/// shared with other work still gives a meaningful percentage; beside it stands what the speed of copying memory allows, where every
/// operand is read or written just once.
/// </summary>
internal static unsafe class Conv2DRoofline
{
    private const int Batch = 16;

    private static readonly (string Name, Conv2DShape Shape)[] Shapes =
    [
        ("3x3   64 ->  64, 32x32", Shape(32, 64, 64, 3)),
        ("3x3  128 -> 128, 16x16", Shape(16, 128, 128, 3)),
        ("3x3  256 -> 256,   8x8", Shape(8, 256, 256, 3)),
        ("3x3  512 -> 512,   4x4", Shape(4, 512, 512, 3)),
        ("7x7    3 ->  64, 32x32", Shape(32, 3, 64, 7)),
        ("1x1  128 ->  64, 32x32", Shape(32, 128, 64, 1)),
        ("3x3  128 ->  64, 32x32", Shape(32, 128, 64, 3)),
        ("2x2s2 64 -> 128, 32x32", new Conv2DShape(Batch, 32, 32, 64, 128, 2, 2, 2, 0, 0)),
        ("3x3s2 64 -> 128, 32x32", new Conv2DShape(Batch, 32, 32, 64, 128, 3, 3, 2, 1, 1)),
    ];

    /// <summary>Runs the comparison.</summary>
    /// <param name="args">"--repeats" n, "--threads" n, "--filter" shape, "--pass" name; all optional.</param>
    public static int Run(string[] args)
    {
        int repeats = int.Parse(Option(args, "--repeats") ?? "120", CultureInfo.InvariantCulture);
        string onlyPass = Option(args, "--pass") ?? "";
        string filter = Option(args, "--filter") ?? "";
        int threads = int.Parse(Option(args, "--threads") ?? $"{ForkJoinPool.Threads}", CultureInfo.InvariantCulture);
        ForkJoinPool.Threads = threads;
        FmaRoof.Measure(1);
        FmaRoof.Measure(threads);
        Console.WriteLine($"{MicroKernel.Widest.Lanes} lanes; GFLOP/s; the roof is measured before and after each repetition");
        string title = $"batch {Batch}, {threads} threads";
        Console.WriteLine($"{title,-24}{"pass",-14}{"best",8}{"median",8}{"roof best",12}{"median",8}{"% best",8}{"median",8}"
            + $"{"memory",8}");
        foreach (var (name, shape) in Shapes)
        {
            if (!name.Contains(filter, StringComparison.OrdinalIgnoreCase))
                continue;
            using var convolution = new Convolution(shape);
            foreach (var pass in convolution.Passes().Where(pass => pass.Name.Contains(onlyPass, StringComparison.Ordinal)))
                Report(name, pass, repeats, threads);
        }

        return 0;
    }

    private static Conv2DShape Shape(int size, int c, int k, int filter) =>
        new(Batch, size, size, c, k, filter, filter, 1, filter / 2, filter / 2);

    private static string? Option(string[] args, string name) =>
        Array.IndexOf(args, name) is >= 0 and var i && i + 1 < args.Length ? args[i + 1] : null;

    private static void Report(string name, Pass pass, int repeats, int threads)
    {
        for (int i = 0; i < 10; i++)
            pass.Run();
        double[] rates = new double[repeats], roofs = new double[repeats], ratios = new double[repeats];
        for (int i = 0; i < repeats; i++)
        {
            double before = FmaRoof.Measure(threads, 2);
            pass.Run();
            long start = Stopwatch.GetTimestamp();
            pass.Run();
            rates[i] = pass.Flops / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
            roofs[i] = Math.Max(before, FmaRoof.Measure(threads, 2));
            ratios[i] = rates[i] / roofs[i];
        }

        double memory = pass.Flops / pass.Bytes * StreamRoof.Measure(threads, pass.Bytes);
        Array.Sort(rates);
        Array.Sort(roofs);
        Array.Sort(ratios);
        Console.WriteLine($"{name,-24}{pass.Name,-14}{rates[^1],8:f1}{Median(rates),8:f1}{roofs[^1],12:f1}{Median(roofs),8:f1}"
            + $"{100 * rates[^1] / roofs[^1],8:f0}{100 * Median(ratios),8:f0}{memory,8:f0}");
    }

    private static double Median(double[] sorted) => sorted[sorted.Length / 2];

    /// <param name="Name">What the row is called.</param>
    /// <param name="Flops">Multiply-adds, two each; those with padding count.</param>
    /// <param name="Bytes">Every operand once.</param>
    /// <param name="Run">Runs it once.</param>
    private sealed record Pass(string Name, double Flops, double Bytes, Action Run);

    /// <summary>The buffers of one convolution, and its passes as the training loop runs them.</summary>
    private sealed class Convolution : IDisposable
    {
        private readonly Conv2DShape _shape;
        private readonly AlignedBuffer _x = new(), _y = new(), _filter = new(), _dFilter = new(), _dx = new();
        private readonly PackedFilter _forward = new(), _backward = new();

        public Convolution(Conv2DShape shape)
        {
            _shape = shape;
            int input = shape.N * shape.H * shape.W * shape.C, output = shape.Pixels * shape.K, weights = shape.K * shape.Depth;
            Fill(_x, input);
            Fill(_dx, input);
            Fill(_y, output);
            Fill(_filter, weights);
            Fill(_dFilter, weights);
            Pack();
        }

        /// <summary>"backward" is both gradients one after the other, of which a network's first layer needs the filter's alone.</summary>
        public IEnumerable<Pass> Passes()
        {
            double bytes = sizeof(float) * (((double)_shape.N * _shape.H * _shape.W * _shape.C) + ((double)_shape.Pixels * _shape.K)
                + ((double)_shape.K * _shape.Depth));
            yield return new Pass("forward", _shape.Flops, bytes, Forward);
            if (_shape.C > 3)
            {
                yield return new Pass("backward", 2 * _shape.Flops, 2 * bytes, Backward);
                yield return new Pass("  input", _shape.Flops, bytes, BackwardInput);
            }

            yield return new Pass("  filter", _shape.Flops, bytes, BackwardFilter);
            yield return new Pass("fwd + packing", _shape.Flops, bytes, PackAndForward);
        }

        public void Dispose()
        {
            foreach (var buffer in new[] { _x, _y, _filter, _dFilter, _dx })
                buffer.Dispose();
            _forward.Dispose();
            _backward.Dispose();
        }

        private void Forward() => GemmConv2D.Forward(_shape, _x.Take<float>(1), _forward, default, _y.Take<float>(1), _shape.K);

        private void BackwardInput() => GemmConv2D.BackwardInput(_shape, _y.Take<float>(1), _backward, _dx.Take<float>(1), false);

        private void BackwardFilter() =>
            GemmConv2D.BackwardFilter(_shape, _x.Take<float>(1), _y.Take<float>(1), _dFilter.Take<float>(1), false);

        private void Backward()
        {
            BackwardInput();
            BackwardFilter();
        }

        private void PackAndForward()
        {
            _forward.PackForward(MicroKernel.Widest, _shape, _filter.Take<float>(1));
            Forward();
        }

        private void Pack()
        {
            _forward.PackForward(MicroKernel.Widest, _shape, _filter.Take<float>(1));
            _backward.PackBackwardInput(MicroKernel.Widest, _shape, _filter.Take<float>(1));
        }

        private static void Fill(AlignedBuffer buffer, int count)
        {
            var values = new Span<float>(buffer.Take<float>(count), count);
            var random = new Random(1);
            for (int i = 0; i < count; i++)
                values[i] = random.NextSingle() - 0.5f;
        }
    }
}

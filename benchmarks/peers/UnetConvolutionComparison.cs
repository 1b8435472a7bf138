using Diffusion.Gpu.Kernels;
using static TorchSharp.torch.nn.functional;
using Torch = TorchSharp.torch;

namespace Diffusion.Gpu.Benchmarks.Peers;

/// <summary>Each pass of a U-Net's convolutions: this library, libtorch channels last, and the multiply-add roof, in one race.</summary>
internal static class UnetConvolutionComparison
{
    /// <summary>Operations of a timing.</summary>
    private const double BackToBack = 3e9;

    private const int Batch = 16;

    private static readonly Conv2DShape[] Shapes =
    [
        Same(32, 64, 64, 3), Same(16, 128, 128, 3), Same(8, 256, 256, 3), Same(4, 512, 512, 3), Same(32, 3, 64, 7), Same(32, 128, 64, 1),
        Same(32, 128, 64, 3), new(Batch, 32, 32, 64, 128, 2, 2, 2, 0, 0), new(Batch, 32, 32, 64, 128, 3, 3, 2, 1, 1),
    ];

    public static int Run(int repeats)
    {
        Torch.set_num_threads(ForkJoinPool.Threads);
        using var device = Device.Open("cpu");
        Console.WriteLine($"{$"batch {Batch}, {ForkJoinPool.Threads} threads",-26}{"pass",-16}"
            + $"{"ours",8}{"median",8}{"torch",8}{"median",8}{"roof",8}"
            + $"{"median",8}{"ours %",8}{"torch %",8}{"ours/torch",12}{"median",8}");
        foreach (var shape in Shapes)
        {
            Compare(device, shape, "forward", repeats);
            if (shape.C > 3) // nobody asks for the gradient of the images
                Compare(device, shape, "input gradient", repeats);
            Compare(device, shape, "filter gradient", repeats);
        }
        return 0;
    }

    private static Conv2DShape Same(int size, int c, int k, int filter)
        => new(Batch, size, size, c, k, filter, filter, 1, filter / 2, filter / 2);

    private static void Compare(Device device, Conv2DShape s, string pass, int repeats)
    {
        var random = new Random(1);
        float[] Values(long count) => [.. Enumerable.Range(0, (int)count).Select(_ => random.NextSingle() - 0.5f)];
        float[] x = Values((long)s.N * s.H * s.W * s.C), filter = Values((long)s.K * s.Depth), dy = Values((long)s.Pixels * s.K);
        using Tensor image = device.NewTensor([s.N, s.H, s.W, s.C], x), weight = device.NewTensor([s.K, s.R, s.S, s.C], filter);
        using Tensor y = device.NewTensor([s.N, s.OutH, s.OutW, s.K], dy), dImage = device.NewTensor(image.Shape),
            dWeight = device.NewTensor(weight.Shape);
        using var torchImage = TorchInception.ChannelsLast(x, s.N, s.H, s.W, s.C);
        using var torchWeight = TorchInception.ChannelsLast(filter, s.K, s.R, s.S, s.C);
        using var torchDy = TorchInception.ChannelsLast(dy, s.N, s.OutH, s.OutW, s.K);
        var wanted = pass switch { "forward" => null, "input gradient" => torchImage, _ => torchWeight };
        wanted?.requires_grad_(true);
        long[] stride = [s.Stride, s.Stride], pad = [s.PadH, s.PadW];
        using var torchY = conv2d(torchImage, torchWeight, null, stride, pad);
        Action ours = pass switch
        {
            "forward" => () => device.Backend.Conv2DForward(s, image, weight, default, y),
            "input gradient" => () => device.Backend.Conv2DBackwardInput(s, y, weight, new GradientTarget(dImage, false)),
            _ => () => device.Backend.Conv2DBackwardFilter(s, image, y, new GradientTarget(dWeight, false)),
        };
        Action torch = wanted is null ? () => conv2d(torchImage, torchWeight, null, stride, pad).Dispose()
            : () => Torch.autograd.grad([torchY], [wanted], [torchDy], retain_graph: true)[0].Dispose();
        int calls = Math.Max(2, (int)(BackToBack / s.Flops));
        double[] roofs = new double[repeats + 2];
        int measured = 0;
        double[][] seconds = Race.Run(repeats, () => Repeat(ours, calls), () => Repeat(torch, calls),
            () => roofs[measured++] = FmaRoof.Measure(ForkJoinPool.Threads, 4));
        double[] roof = [.. roofs[2..].Order()];
        double Rate(double time) => calls * s.Flops / time / 1e9;
        double best = Rate(seconds[0][0]), median = Rate(Race.Median(seconds[0])), peer = Rate(seconds[1][0]),
            peerMedian = Rate(Race.Median(seconds[1]));
        Console.WriteLine($"{$"{s.R}x{s.S}{(s.Stride > 1 ? "s" + s.Stride : "")} {s.C} -> {s.K}, {s.H}x{s.W}",-26}{pass,-16}"
            + $"{best,8:f0}{median,8:f0}"
            + $"{peer,8:f0}{peerMedian,8:f0}{roof[^1],8:f0}{Race.Median(roof),8:f0}{100 * best / roof[^1],8:f0}{100 * peer / roof[^1],8:f0}"
            + $"{best / peer,12:f2}{median / peerMedian,8:f2}");
    }

    private static void Repeat(Action action, int calls)
    {
        for (int call = 0; call < calls; call++)
            action();
    }
}

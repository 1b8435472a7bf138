using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using Torch = TorchSharp.torch;

namespace Diffusion.Gpu.Benchmarks.Peers;

/// <summary>Whole Inception-v3, images per second: this library and libtorch, channels last, the same folded weights.</summary>
internal static class InceptionComparison
{
    public static int Run(int repeats, int batch)
    {
        using var device = Device.Open("cpu");
        var weights = InceptionWeights.Hash();
        using var ours = new InceptionV3(device, weights);
        var theirs = new TorchInception(weights);
        float[] pixels = Pixels(batch);
        Torch.set_num_threads(ForkJoinPool.Threads);
        using var noGradients = Torch.no_grad();
        using var images = device.NewTensor([batch, 299, 299, 3], pixels);
        var torchImages = TorchInception.ChannelsLast(pixels, batch, 299, 299, 3);
        float[] a = [], b = [];
        long before = device.Memory.Live;
        double[][] seconds = Race.Run(repeats, () =>
        {
            using var tape = device.NewTape(recording: false);
            a = ours.Features(tape, images).ToArray();
        }, () =>
        {
            using var scope = Torch.NewDisposeScope();
            b = theirs.Features(torchImages).data<float>().ToArray();
        });
        double largest = b.Max(Math.Abs), deviation = a.Zip(b, (x, y) => Math.Abs((double)x - y)).Max();
        Console.WriteLine($"batch {batch}, {ForkJoinPool.Threads} threads, {repeats} repetitions in random order; images/s");
        Console.WriteLine($"largest difference {deviation:g2} of {largest:g3}; "
            + $"our activations {(device.Memory.Peak - before) / batch / 1e6:f1} MB per image");
        Console.WriteLine($"{"",-24}{"best",8}{"median",8}");
        Console.WriteLine($"{"this library",-24}{batch / seconds[0][0],8:f2}{batch / Race.Median(seconds[0]),8:f2}");
        Console.WriteLine($"{"libtorch, channels last",-24}{batch / seconds[1][0],8:f2}{batch / Race.Median(seconds[1]),8:f2}");
        Console.WriteLine($"{"ratio",-24}{seconds[1][0] / seconds[0][0],8:f3}{Race.Median(seconds[1]) / Race.Median(seconds[0]),8:f3}");
        return deviation < 1e-4 * largest ? 0 : 1;
    }

    /// <summary>Sixteen images in batches of several sizes, this library alone: what the extractor's choice of a batch rests on.</summary>
    public static int RunBatches(int repeats)
    {
        const int Images = 16;
        int[] batches = [1, 2, 4, 8, 16];
        using var device = Device.Open("cpu");
        using var network = new InceptionV3(device, InceptionWeights.Hash());
        Tensor[] inputs = [.. batches.Select(batch => device.NewTensor([batch, 299, 299, 3], Pixels(batch)))];
        double[][] seconds = Race.Run(repeats, [.. batches.Select((batch, i) => (Action)(() =>
        {
            for (int done = 0; done < Images; done += batch)
            {
                using var tape = device.NewTape(recording: false);
                network.Features(tape, inputs[i]).ToArray();
            }
        }))]);
        Console.WriteLine($"{"batch",-8}{"images/s best",15}{"median",8}");
        for (int i = 0; i < batches.Length; i++)
            Console.WriteLine($"{batches[i],-8}{Images / seconds[i][0],15:f2}{Images / Race.Median(seconds[i]),8:f2}");
        foreach (var input in inputs)
            input.Dispose();
        return 0;
    }

    private static float[] Pixels(int batch)
    {
        var random = new Random(1);
        var pixels = new float[batch * 299 * 299 * 3];
        for (int i = 0; i < pixels.Length; i++)
            pixels[i] = (2 * random.NextSingle()) - 1;
        return pixels;
    }
}

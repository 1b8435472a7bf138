using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>
/// The 1x1 convolutions that read the same input of an Inception block: one by one, each into its place, or as one product into one
/// tensor. The difference bounds what merging them could save; reading the merged tensor in slices would come on top.
/// </summary>
internal static class InceptionBranches
{
    private const int Batch = 8;
    private const int Repeats = 15;
    private const int Calls = 5;

    /// <summary>Size in pixels, channels in, channels of each 1x1 branch.</summary>
    private static readonly (string Block, int Size, int Channels, int[] Branches)[] Blocks =
    [
        ("Mixed_5b", 35, 192, [64, 48, 64]),
        ("Mixed_5d", 35, 288, [64, 48, 64]),
        ("Mixed_6b", 17, 768, [192, 128, 128]),
        ("Mixed_6c", 17, 768, [192, 160, 160]),
        ("Mixed_6e", 17, 768, [192, 192, 192]),
        ("Mixed_7a", 17, 768, [192, 192]),
        ("Mixed_7b", 8, 1280, [320, 384, 448]),
        ("Mixed_7c", 8, 2048, [320, 384, 448]),
    ];

    public static int Run()
    {
        using var device = Device.Open("cpu");
        Console.WriteLine($"batch {Batch}, {ForkJoinPool.Threads} threads, ms; ratio: one by one / merged");
        Console.WriteLine($"{"block",-12}{"one by one",12}{"median",8}{"merged",10}{"median",8}{"ratio",10}{"median",8}");
        foreach (var (block, size, channels, branches) in Blocks)
        {
            using var x = New(device, [Batch, size, size, channels]);
            Tensor[] filters = [.. branches.Append(branches.Sum()).Select(k => New(device, [k, 1, 1, channels]))];
            Tensor[] outputs = [.. branches.Append(branches.Sum()).Select(k => New(device, [Batch, size, size, k]))];
            Tensor[] biases = [.. branches.Append(branches.Sum()).Select(k => New(device, [k]))];
            double[][] seconds = Race.Run(Repeats, () =>
            {
                for (int call = 0; call < Calls; call++)
                {
                    for (int i = 0; i < branches.Length; i++)
                        Convolve(i);
                }
            }, () =>
            {
                for (int call = 0; call < Calls; call++)
                    Convolve(branches.Length);
            });
            double best = seconds[0][0] * 1e3 / Calls, median = Race.Median(seconds[0]) * 1e3 / Calls;
            double mergedBest = seconds[1][0] * 1e3 / Calls, mergedMedian = Race.Median(seconds[1]) * 1e3 / Calls;
            Console.WriteLine($"{block,-12}{best,12:f2}{median,8:f2}{mergedBest,10:f2}{mergedMedian,8:f2}{best / mergedBest,10:f2}"
                + $"{median / mergedMedian,8:f2}");
            foreach (var tensor in filters.Concat(outputs).Concat(biases))
                tensor.Dispose();

            void Convolve(int i)
            {
                using var tape = device.NewTape(recording: false);
                tape.Conv2DInto(outputs[i], x, filters[i], biases[i], activation: Activation.Relu);
            }
        }
        return 0;
    }

    private static Tensor New(Device device, Shape shape)
    {
        var random = new Random(1);
        return device.NewTensor(shape, [.. Enumerable.Range(0, (int)shape.Count).Select(_ => random.NextSingle() - 0.5f)]);
    }
}

using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using static TorchSharp.torch.nn.functional;
using Torch = TorchSharp.torch;

namespace Diffusion.Gpu.Benchmarks.Peers;

/// <summary>Every distinct convolution of Inception-v3 with bias and ReLU: GFLOP/s of this library and of libtorch,
/// channels last.</summary>
internal static class ConvolutionComparison
{
    /// <summary>Operations of a timing.</summary>
    private const double BackToBack = 4e9;

    public static int Run(int repeats, int batch)
    {
        Torch.set_num_threads(ForkJoinPool.Threads);
        using var noGradients = Torch.no_grad();
        using var device = Device.Open("cpu");
        Console.WriteLine($"{"batch " + batch,-34}{"times",6}{"ours best",11}{"median",8}"
            + $"{"torch best",12}{"median",8}{"ratio best",12}{"median",8}");
        double[] total = new double[4];
        // The first shapes would otherwise meet code that the compiler has not come back to yet.
        foreach (var layer in NetworkConvolution.OfInception(1))
            Compare(device, layer.Shape, 3);
        foreach (var (layer, times) in NetworkConvolution.Count(NetworkConvolution.OfInception(batch)))
        {
            double[] seconds = Compare(device, layer.Shape, repeats);
            for (int i = 0; i < total.Length; i++)
                total[i] += times * seconds[i];
            Print(layer.Name, times, [.. seconds.Select(s => layer.Shape.Flops / s / 1e9)]);
        }
        Console.WriteLine($"sum in ms: ours {total[0] * 1e3:f0} {total[1] * 1e3:f0}, torch {total[2] * 1e3:f0} {total[3] * 1e3:f0}; "
            + $"ratio {total[2] / total[0]:f3} {total[3] / total[1]:f3}");
        return 0;
    }

    private static void Print(string name, int times, double[] rates)
        => Console.WriteLine($"{name,-34}{times,6}{rates[0],11:f0}{rates[1],8:f0}{rates[2],12:f0}{rates[3],8:f0}{rates[0] / rates[2],12:f2}"
            + $"{rates[1] / rates[3],8:f2}");

    private static double[] Compare(Device device, Conv2DShape s, int repeats)
    {
        var random = new Random(1);
        float[] Values(long count) => [.. Enumerable.Range(0, (int)count).Select(_ => random.NextSingle() - 0.5f)];
        float[] x = Values((long)s.N * s.H * s.W * s.C), filter = Values((long)s.K * s.Depth), bias = Values(s.K);
        using Tensor image = device.NewTensor([s.N, s.H, s.W, s.C], x), weight = device.NewTensor([s.K, s.R, s.S, s.C], filter);
        using Tensor offset = device.NewTensor([s.K], bias), y = device.NewTensor([s.N, s.OutH, s.OutW, s.K]);
        using var torchImage = TorchInception.ChannelsLast(x, s.N, s.H, s.W, s.C);
        using var torchWeight = TorchInception.ChannelsLast(filter, s.K, s.R, s.S, s.C);
        using var torchOffset = Torch.tensor(bias);
        // One after the other as in a network, where threads are awake and memory is warm.
        int calls = Math.Max(2, (int)(BackToBack / s.Flops));
        double[][] seconds = Race.Run(repeats, () =>
        {
            using var tape = device.NewTape(recording: false);
            for (int call = 0; call < calls; call++)
                tape.Conv2DInto(y, image, weight, offset, s.Stride, s.PadH, s.PadW, Activation.Relu);
        }, () =>
        {
            for (int call = 0; call < calls; call++)
                conv2d(torchImage, torchWeight, torchOffset, [s.Stride, s.Stride], [s.PadH, s.PadW]).relu_().Dispose();
        });
        return [.. new[] { seconds[0][0], Race.Median(seconds[0]), seconds[1][0], Race.Median(seconds[1]) }.Select(time => time / calls)];
    }
}

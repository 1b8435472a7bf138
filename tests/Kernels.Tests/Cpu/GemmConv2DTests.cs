using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels.Tests;

[NonParallelizable]
public sealed unsafe class GemmConv2DTests
{
    // N, H, W, C, K, R, S, stride, padH, padW
    private static readonly Conv2DShape[] Shapes =
    [
        new(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
        new(2, 5, 7, 3, 5, 3, 3, 1, 1, 1),
        new(1, 1, 1, 3, 17, 3, 3, 1, 1, 1),
        new(1, 3, 2, 5, 6, 7, 7, 1, 3, 3),
        new(2, 11, 13, 3, 64, 7, 7, 1, 3, 3),
        new(3, 8, 8, 17, 63, 3, 3, 1, 1, 1),
        new(2, 9, 7, 63, 65, 3, 3, 1, 1, 1),
        new(2, 6, 5, 65, 17, 1, 1, 1, 0, 0),
        new(5, 4, 4, 64, 64, 3, 3, 1, 1, 1),
        new(1, 16, 19, 16, 48, 3, 3, 1, 1, 1),
        new(2, 6, 8, 12, 33, 2, 2, 2, 0, 0),
        new(2, 7, 9, 5, 7, 2, 2, 2, 0, 0),
        new(2, 9, 11, 3, 32, 3, 3, 2, 0, 0),
        new(2, 8, 10, 6, 19, 3, 3, 2, 1, 1),
        new(1, 9, 9, 4, 9, 1, 1, 2, 0, 0),
        new(1, 10, 13, 2, 3, 4, 4, 3, 2, 1),
        new(1, 8, 8, 3, 4, 3, 3, 5, 1, 1),
        new(1, 6, 5, 3, 4, 1, 1, 1, 2, 1),
        new(1, 5, 6, 4, 8, 2, 3, 1, 2, 3),
        new(2, 7, 9, 16, 16, 1, 7, 1, 0, 3),
        new(2, 9, 7, 16, 16, 7, 1, 1, 3, 0),
        new(1, 6, 6, 130, 96, 3, 3, 1, 1, 1),
        new(1, 4, 4, 600, 70, 3, 3, 1, 1, 1),
        new(33, 1, 1, 70, 130, 1, 1, 1, 0, 0),
        new(700, 1, 1, 16, 6, 1, 1, 1, 0, 0),
        new(1, 40, 300, 3, 8, 3, 3, 1, 1, 1),
        new(3, 23, 26, 64, 20, 3, 3, 2, 1, 1),
        new(7, 6, 6, 192, 22, 3, 3, 1, 1, 1),
        new(1, 3, 3, 80, 9, 5, 5, 1, 4, 4),
    ];

    private static MicroKernel Kernel(int lanes) => lanes switch
    {
        4 => new MicroKernel<Lanes128, Vector128<float>>(),
        8 => new MicroKernel<Lanes256, Vector256<float>>(),
        _ => new MicroKernel<Lanes512, Vector512<float>>(),
    };

    [Test]
    public void Forward_matches_reference(
        [ValueSource(nameof(Shapes))] Conv2DShape s, [Values(4, 8, 16)] int lanes, [Values] Activation activation)
    {
        float[] x = GemmReference.Random(s.N * s.H * s.W * s.C, 1), filter = GemmReference.Random(s.K * s.Depth, 2);
        float[] bias = GemmReference.Random(s.K, 3), residual = GemmReference.Random(s.Pixels * s.K, 4);
        double[] expected = GemmReference.Forward(s, x, filter);
        for (int i = 0; i < expected.Length; i++)
        {
            double sum = expected[i] + bias[i % s.K] + residual[i];
            expected[i] = activation switch
            {
                Activation.Relu => Math.Max(sum, 0),
                Activation.Silu => sum / (1 + Math.Exp(-sum)),
                _ => sum,
            };
        }

        using var y = new GuardedBuffer(expected.Length);
        using var packed = new PackedFilter();
        fixed (float* px = x, pFilter = filter, pBias = bias, pResidual = residual)
        {
            packed.PackForward(Kernel(lanes), s, pFilter);
            GemmConv2D.Forward(s, px, packed, new GemmEpilogue(pBias, pResidual, s.K, activation), y.Pointer, s.K);
        }

        GemmReference.AssertClose(y.Values, expected, s.Depth);
        y.AssertGuardsIntact();
    }

    [Test]
    public void Forward_writes_into_a_channel_slice([Values(5, 16, 65)] int k)
    {
        var s = new Conv2DShape(2, 5, 6, 7, k, 3, 3, 1, 1, 1);
        const int Before = 3, After = 20;
        int channels = Before + k + After;
        float[] x = GemmReference.Random(s.N * s.H * s.W * s.C, 1), filter = GemmReference.Random(s.K * s.Depth, 2);
        using var y = new GuardedBuffer(s.Pixels * channels, fill: 42);
        using var packed = new PackedFilter();
        fixed (float* px = x, pFilter = filter)
        {
            packed.PackForward(MicroKernel.Widest, s, pFilter);
            GemmConv2D.Forward(s, px, packed, default, y.Pointer + Before, channels);
        }

        double[] sums = GemmReference.Forward(s, x, filter), expected = new double[s.Pixels * channels];
        for (int i = 0; i < expected.Length; i++)
        {
            int channel = (i % channels) - Before;
            expected[i] = channel >= 0 && channel < k ? sums[(i / channels * k) + channel] : 42;
        }

        GemmReference.AssertClose(y.Values, expected, s.Depth);
    }

    [Test]
    public void BackwardInput_matches_reference(
        [ValueSource(nameof(Shapes))] Conv2DShape s, [Values(4, 8, 16)] int lanes, [Values] bool accumulate)
    {
        float[] dy = GemmReference.Random(s.Pixels * s.K, 1), filter = GemmReference.Random(s.K * s.Depth, 2);
        float[] before = GemmReference.Random(s.N * s.H * s.W * s.C, 3);
        double[] expected = GemmReference.BackwardInput(s, dy, filter);
        using var dx = accumulate ? new GuardedBuffer(before) : new GuardedBuffer(expected.Length);
        for (int i = 0; accumulate && i < expected.Length; i++)
            expected[i] += before[i];
        using var packed = new PackedFilter();
        fixed (float* pdy = dy, pFilter = filter)
        {
            packed.PackBackwardInput(Kernel(lanes), s, pFilter);
            GemmConv2D.BackwardInput(s, pdy, packed, dx.Pointer, accumulate);
        }

        GemmReference.AssertClose(dx.Values, expected, s.K * s.R * s.S);
        dx.AssertGuardsIntact();
    }

    [Test]
    public void BackwardFilter_matches_reference(
        [ValueSource(nameof(Shapes))] Conv2DShape s, [Values(4, 8, 16)] int lanes, [Values] bool accumulate)
    {
        float[] x = GemmReference.Random(s.N * s.H * s.W * s.C, 1), dy = GemmReference.Random(s.Pixels * s.K, 2);
        float[] before = GemmReference.Random(s.K * s.Depth, 3);
        double[] expected = GemmReference.BackwardFilter(s, x, dy);
        using var dFilter = accumulate ? new GuardedBuffer(before) : new GuardedBuffer(expected.Length);
        for (int i = 0; accumulate && i < expected.Length; i++)
            expected[i] += before[i];
        fixed (float* px = x, pdy = dy)
            GemmOuter.Run(Kernel(lanes), GemmWindow.Of(s), px, pdy, s.K, dFilter.Pointer, accumulate);

        GemmReference.AssertClose(dFilter.Values, expected, s.Pixels);
        dFilter.AssertGuardsIntact();
    }

    [Test]
    public void Every_pass_gives_the_same_bits_for_one_thread_and_for_five([ValueSource(nameof(Shapes))] Conv2DShape s)
    {
        int threads = ForkJoinPool.Threads;
        try
        {
            var large = s with { N = s.N * 3 };
            ForkJoinPool.Threads = 1;
            float[][] alone = AllPasses(large);
            ForkJoinPool.Threads = 5;
            Assert.That(AllPasses(large), Is.EqualTo(alone));
        }
        finally
        {
            ForkJoinPool.Threads = threads;
        }
    }

    [Test]
    public void A_sample_gives_the_same_bits_alone_and_in_a_batch([ValueSource(nameof(Shapes))] Conv2DShape s)
    {
        var single = s with { N = 1 };
        var batch = s with { N = 5 };
        float[][] alone = AllPasses(single), together = AllPasses(batch, repeat: true);
        for (int n = 0; n < 5; n++)
        {
            Assert.That(together[0].AsSpan(n * alone[0].Length, alone[0].Length).ToArray(), Is.EqualTo(alone[0]));
            Assert.That(together[1].AsSpan(n * alone[1].Length, alone[1].Length).ToArray(), Is.EqualTo(alone[1]));
        }
    }

    /// <summary>y with every epilogue, dx, dFilter.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="repeat">Every sample is the first one.</param>
    private static float[][] AllPasses(Conv2DShape s, bool repeat = false)
    {
        float[] Samples(int count, int seed)
        {
            if (!repeat)
                return GemmReference.Random(count, seed);
            float[] one = GemmReference.Random(count / s.N, seed);
            return [.. Enumerable.Range(0, s.N).SelectMany(_ => one)];
        }

        float[] x = Samples(s.N * s.H * s.W * s.C, 1), filter = GemmReference.Random(s.K * s.Depth, 2);
        float[] bias = GemmReference.Random(s.K, 3), dy = Samples(s.Pixels * s.K, 4);
        float[] y = new float[dy.Length], dx = new float[x.Length], dFilter = new float[filter.Length];
        using var forward = new PackedFilter();
        using var backward = new PackedFilter();
        fixed (float* px = x, pFilter = filter, pBias = bias, pdy = dy, py = y, pdx = dx, pdFilter = dFilter)
        {
            forward.PackForward(MicroKernel.Widest, s, pFilter);
            backward.PackBackwardInput(MicroKernel.Widest, s, pFilter);
            GemmConv2D.Forward(s, px, forward, new GemmEpilogue(pBias, pdy, s.K, Activation.Silu), py, s.K);
            GemmConv2D.BackwardInput(s, pdy, backward, pdx, accumulate: false);
            GemmConv2D.BackwardFilter(s, px, pdy, pdFilter, accumulate: false);
        }

        return [y, dx, dFilter];
    }
}

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>One convolution with bias, residual, activation, a slice of channels, and gradients that are added to.</summary>
internal sealed class ConvolutionData(Device device, Conv2DShape s)
{
    /// <summary>Channels before and behind the slice; four of them keep wide accesses possible.</summary>
    private const int Before = 4;
    private const int Behind = 4;
    private const float Beside = 7;

    private readonly float[] _x = TileGemmTests.Numbers(s.N * s.H * s.W * s.C, 1);
    private readonly float[] _filter = TileGemmTests.Numbers(s.K * s.Depth, 2);
    private readonly float[] _dy = TileGemmTests.Numbers(s.Pixels * s.K, 3);
    private readonly float[] _residual = TileGemmTests.Numbers(s.Pixels * s.K, 4);
    private readonly float[] _bias = TileGemmTests.Numbers(s.K, 5);

    private ConvolutionReference? _reference;

    /// <summary>Computes the output plain, with an epilogue into a slice, and both gradients overwritten and then added to.</summary>
    /// <returns>Output, slice, dx, dFilter.</returns>
    public float[][] Run()
    {
        int channels = Before + s.K + Behind;
        using Tensor x = device.NewTensor([s.N, s.H, s.W, s.C], _x), filter = device.NewTensor([s.K, s.R, s.S, s.C], _filter);
        using Tensor dy = device.NewTensor([s.N, s.OutH, s.OutW, s.K], _dy), residual = device.NewTensor(dy.Shape, _residual);
        using Tensor bias = device.NewTensor([s.K], _bias), y = device.NewTensor(dy.Shape);
        float[] around = new float[s.Pixels * channels];
        Array.Fill(around, Beside);
        using var slice = device.NewTensor([s.N, s.OutH, s.OutW, channels], around);
        using Tensor dx = device.NewTensor(x.Shape), dFilter = device.NewTensor(filter.Shape);
        var backend = device.Backend;
        backend.Conv2DForward(s, x, filter, default, ChannelSlice.Whole(y));
        backend.Conv2DForward(s, x, filter, new Epilogue(bias, residual, Activation), new ChannelSlice(slice, Before, s.K));
        foreach (bool accumulate in new[] { false, true })
        {
            backend.Conv2DBackwardInput(s, dy, filter, new GradientTarget(dx, accumulate));
            backend.Conv2DBackwardFilter(s, x, dy, new GradientTarget(dFilter, accumulate));
        }
        return [y.ToArray(), slice.ToArray(), dx.ToArray(), dFilter.ToArray()];
    }

    /// <summary>Computes everything and compares it with the reference.</summary>
    public float[][] AssertMatches(double tolerance)
    {
        _reference ??= new ConvolutionReference(s, Rounding.Of(device.Precision), _x, _filter, _dy);
        float[][] results = Run();
        Assert.Multiple(() =>
        {
            Assert.That(_reference.Output.Deviation(results[0]), Is.LessThan(tolerance), "y");
            Assert.That(_reference.Output.Deviation(Inside(results[1]), Finish), Is.LessThan(tolerance), "y with epilogue");
            Assert.That(Outside(results[1]), Is.All.EqualTo(Beside), "channels beside the slice");
            Assert.That(_reference.InputGradient.Deviation(Half(results[2])), Is.LessThan(tolerance), "dx");
            Assert.That(_reference.FilterGradient.Deviation(Half(results[3])), Is.LessThan(tolerance), "dFilter");
        });
        OpChecks.AssertNoStrayWrites(device);
        return results;
    }

    /// <summary>Both activations take turns.</summary>
    private Activation Activation => s.K % 8 == 0 ? Activation.Silu : Activation.Relu;

    private double Finish(int i, double sum)
    {
        double value = sum + _bias[i % s.K] + _residual[i];
        return Activation == Activation.Silu ? value / (1 + Math.Exp(-value)) : Math.Max(value, 0);
    }

    private float[] Inside(float[] slice) => [.. slice.Where((_, i) => IsInside(i))];

    private float[] Outside(float[] slice) => [.. slice.Where((_, i) => !IsInside(i))];

    private bool IsInside(int i) => i % (Before + s.K + Behind) is var channel && channel >= Before && channel < Before + s.K;

    /// <summary>Gradients were added to themselves.</summary>
    private static float[] Half(float[] gradient) => Array.ConvertAll(gradient, value => value / 2);
}

using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>A convolution, the batch norm after it and the ReLU after that, as one op: the norm is part of the filter and the
/// bias.</summary>
/// <remarks>y = relu((x ⋆ w − mean) · s + β) with s = γ / √(variance + 1e-3): filter w·s, bias β − mean·s, in double, rounded
/// once.</remarks>
internal sealed class FoldedConvolution : IDisposable
{
    private const double Epsilon = 1e-3;

    private readonly Tensor _filter;
    private readonly Tensor _bias;

    private FoldedConvolution(Tensor filter, Tensor bias)
    {
        _filter = filter;
        _bias = bias;
    }

    /// <summary>[K, R, S, C], folded.</summary>
    public Tensor Filter => _filter;

    /// <summary>Output channels.</summary>
    public int Channels => _filter.Shape[0];

    /// <summary>Folds the norm into the filter and brings both to the device.</summary>
    /// <param name="device">Where the convolution will run.</param>
    /// <param name="shape">[K, C, R, S]: the filter's extents as PyTorch has them.</param>
    /// <param name="values">Gives "conv.weight", "bn.weight", "bn.bias", "bn.running_mean" and "bn.running_var".</param>
    public static FoldedConvolution Create(Device device, Shape shape, Func<string, float[]> values)
    {
        var (filter, bias) = Fold(shape, values);
        return new FoldedConvolution(device.NewTensor([shape[0], shape[2], shape[3], shape[1]], filter),
            device.NewTensor([shape[0]], bias));
    }

    /// <summary>The filter [K, R, S, C] and the bias [K]; parameters as of <see cref="Create"/>.</summary>
    public static (float[] Filter, float[] Bias) Fold(Shape shape, Func<string, float[]> values)
    {
        int k = shape[0], c = shape[1], taps = shape[2] * shape[3];
        float[] weight = values("conv.weight"), gain = values("bn.weight"), offset = values("bn.bias");
        float[] mean = values("bn.running_mean"), variance = values("bn.running_var");
        float[] filter = new float[weight.Length], bias = new float[k];
        for (int output = 0; output < k; output++)
        {
            double scale = gain[output] / Math.Sqrt(variance[output] + Epsilon);
            bias[output] = (float)(offset[output] - (mean[output] * scale));
            // [C, R, S] in the file, [R, S, C] in memory.
            for (int tap = 0, start = output * c * taps; tap < taps; tap++)
                for (int channel = 0; channel < c; channel++)
                    filter[start + (tap * c) + channel] = (float)(weight[start + (channel * taps) + tap] * scale);
        }
        return (filter, bias);
    }

    /// <summary>Convolves into a tensor of its own.</summary>
    /// <param name="tape">Does not record.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="stride">Step in pixels.</param>
    /// <param name="padded">Zeros around the image, so that the size stays at stride 1.</param>
    public Tensor Apply(Tape tape, Tensor x, int stride = 1, bool padded = true)
        => tape.Conv2D(x, _filter, _bias, stride, padded ? null : 0, padded ? null : 0, null, Activation.Relu);

    /// <summary>Convolves into channels of a given tensor.</summary>
    /// <param name="tape">Does not record.</param>
    /// <param name="y">The channels from which on the result goes.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="stride">Step in pixels.</param>
    /// <param name="padded">Zeros around the image, so that the size stays at stride 1.</param>
    /// <returns>The channel after the last one written.</returns>
    public int Into(Tape tape, Tensor y, int first, Tensor x, int stride = 1, bool padded = true)
    {
        tape.Conv2DInto(new ChannelSlice(y, first, Channels), x, _filter, _bias, stride, padded ? null : 0, padded ? null : 0,
            Activation.Relu);
        return first + Channels;
    }

    public void Dispose()
    {
        _filter.Dispose();
        _bias.Dispose();
    }
}

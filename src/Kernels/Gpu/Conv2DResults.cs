using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>A row-major matrix, or a batch of them, overwritten or added to.</summary>
internal struct MatrixResult<TWidth> : IResult
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Values;
    public int Lines;
    public int Columns;
    public int SliceStride;

    /// <summary>1 to add, 0 to overwrite.</summary>
    public int Accumulate;

    public static bool NormalisesLines => false;

    public readonly LineNorm Norm => default;

    public readonly void Write(int slice, int line, int column, F4 sums, float factor)
    {
        if (line < Lines)
            ResultRow<TWidth>.Put(Values, (slice * SliceStride) + (line * Columns), column, Columns, sums, Accumulate);
    }
}

/// <summary>The gradient of a filter [Lines, Taps, Channels], of columns that have more channels to a tap: those are dropped.</summary>
internal struct UnpaddedFilterResult : IResult
{
    public ArrayView<float> Values;
    public int Lines;
    public int Taps;
    public int Channels;

    /// <summary>Channels of a tap among the columns, a multiple of four.</summary>
    public Divisor PaddedChannels;

    /// <summary>1 to add, 0 to overwrite.</summary>
    public int Accumulate;

    public static bool NormalisesLines => false;

    public readonly LineNorm Norm => default;

    public readonly void Write(int slice, int line, int column, F4 sums, float factor)
    {
        int tap = PaddedChannels.Divide(column);
        if (line < Lines & tap < Taps)
        {
            ResultRow<OneWide>.Put(Values, ((line * Taps) + tap) * Channels, PaddedChannels.Remainder(column, tap), Channels, sums,
                Accumulate);
        }
    }
}

/// <summary>
/// Every Step-th pixel, from (FirstH, FirstW) on, of images [N,H,W,C], each channel overwritten or added to; line = (n, y, x) among those
/// pixels. The channels lie in one image or, as if they were joined, in two.
/// </summary>
internal struct PixelResult<TWidth> : IResult
    where TWidth : struct, IAccessWidth
{
    public int Lines;
    public int H;
    public int W;

    /// <summary>Rows of pixels that are written.</summary>
    public Divisor PixelsH;

    /// <summary>Columns of pixels that are written.</summary>
    public Divisor PixelsW;

    public int FirstH;
    public int FirstW;
    public int Step;

    /// <summary>The first channels.</summary>
    public PixelChannels First;

    /// <summary>Those after them; none where there is one image.</summary>
    public PixelChannels Second;

    public static bool NormalisesLines => false;

    public readonly LineNorm Norm => default;

    public readonly void Write(int slice, int line, int column, F4 sums, float factor)
    {
        if (line >= Lines)
            return;
        int pixelRow = PixelsW.Divide(line);
        int n = PixelsH.Divide(pixelRow);
        int y = FirstH + (Step * PixelsH.Remainder(pixelRow, n));
        int x = FirstW + (Step * PixelsW.Remainder(line, pixelRow));
        int pixel = (((n * H) + y) * W) + x;
        Put(First, pixel, column, sums);
        if (Second.Count > 0)
            Put(Second, pixel, column - First.Count, sums);
    }

    /// <summary>Writes those of four channels that lie in the image.</summary>
    private static void Put(PixelChannels image, int pixel, int channel, F4 sums)
    {
        if (image.IsWanted != 0)
            ResultRow<TWidth>.Put(image.Values, pixel * image.Count, channel, image.Count, sums, image.Accumulate);
    }
}

/// <summary>Channels of <see cref="PixelResult{TWidth}"/> that lie in one image.</summary>
internal struct PixelChannels
{
    public ArrayView<float> Values;
    public int Count;

    /// <summary>0 where nobody wants these channels.</summary>
    public int IsWanted;

    /// <summary>1 to add, 0 to overwrite.</summary>
    public int Accumulate;
}

/// <summary>The output of a convolution: bias, residual and activation, in this order,
/// then the store into a slice of the channels.</summary>
internal struct EpilogueResult<TWidth> : IResult
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Values;
    public int Lines;
    public int Columns;

    /// <summary>Values from one line of the output to the next.</summary>
    public int Stride;

    /// <summary>Where in a line of the output the first column goes.</summary>
    public int First;

    /// <summary>[Columns], read where <see cref="HasBias"/> is 1.</summary>
    public ArrayView<float> Bias;

    /// <summary>[Lines, Columns], read where <see cref="HasResidual"/> is 1.</summary>
    public ArrayView<float> Residual;

    public int HasBias;
    public int HasResidual;

    /// <summary><see cref="Kernels.Activation"/> as a number.</summary>
    public int Activation;

    public static bool NormalisesLines => false;

    public readonly LineNorm Norm => default;

    public readonly void Write(int slice, int line, int column, F4 sums, float factor)
    {
        if (line >= Lines)
            return;
        int row = line * Columns;
        if (HasBias != 0)
            sums = F4.Add(sums, ResultRow<TWidth>.Get(Bias, 0, column, Columns));
        if (HasResidual != 0)
            sums = F4.Add(sums, ResultRow<TWidth>.Get(Residual, row, column, Columns));
        if (Activation == (int)Kernels.Activation.Relu)
            sums = new F4 { X = Relu(sums.X), Y = Relu(sums.Y), Z = Relu(sums.Z), W = Relu(sums.W) };
        if (Activation == (int)Kernels.Activation.Silu)
        {
            sums = new F4
            {
                X = KernelMath.Silu(sums.X),
                Y = KernelMath.Silu(sums.Y),
                Z = KernelMath.Silu(sums.Z),
                W = KernelMath.Silu(sums.W),
            };
        }
        ResultRow<TWidth>.Put(Values, (line * Stride) + First, column, Columns, sums, 0);
    }

    /// <summary>NaN stays NaN.</summary>
    private static float Relu(float x) => x < 0 ? 0 : x;
}

/// <summary>Four neighbouring values of a row, as one access or as up to four; what lies before or past it is dropped.</summary>
internal static class ResultRow<TWidth>
    where TWidth : struct, IAccessWidth
{
    public static F4 Get(ArrayView<float> values, int row, int column, int columns)
    {
        F4 four = default;
        if (TWidth.IsFour)
            return (uint)column < (uint)columns ? values.Cast<F4>()[(row + column) >> 2] : four;
        if ((uint)column < (uint)columns)
            four.X = values[row + column];
        if ((uint)(column + 1) < (uint)columns)
            four.Y = values[row + column + 1];
        if ((uint)(column + 2) < (uint)columns)
            four.Z = values[row + column + 2];
        if ((uint)(column + 3) < (uint)columns)
            four.W = values[row + column + 3];
        return four;
    }

    public static void Put(ArrayView<float> values, int row, int column, int columns, F4 four, int accumulate)
    {
        if (accumulate != 0)
            four = F4.Add(four, Get(values, row, column, columns));
        if (TWidth.IsFour)
        {
            if ((uint)column < (uint)columns)
                values.Cast<F4>()[(row + column) >> 2] = four;
            return;
        }
        if ((uint)column < (uint)columns)
            values[row + column] = four.X;
        if ((uint)(column + 1) < (uint)columns)
            values[row + column + 1] = four.Y;
        if ((uint)(column + 2) < (uint)columns)
            values[row + column + 2] = four.Z;
        if ((uint)(column + 3) < (uint)columns)
            values[row + column + 3] = four.W;
    }
}

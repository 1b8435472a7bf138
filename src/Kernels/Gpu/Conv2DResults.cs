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

    public readonly void Write(int slice, int line, int column, F4 sums)
    {
        if (line < Lines)
            ResultRow<TWidth>.Put(Values, (slice * SliceStride) + (line * Columns), column, Columns, sums, Accumulate);
    }
}

/// <summary>
/// Every Step-th pixel, from (FirstH, FirstW) on, of an image [N,H,W,C], overwritten or added to; line = (n, y, x) among those pixels.
/// </summary>
internal struct PixelResult<TWidth> : IResult
    where TWidth : struct, IAccessWidth
{
    public ArrayView<float> Values;
    public int Lines;
    public int H;
    public int W;
    public int C;

    /// <summary>Rows of pixels that are written.</summary>
    public Divisor PixelsH;

    /// <summary>Columns of pixels that are written.</summary>
    public Divisor PixelsW;

    public int FirstH;
    public int FirstW;
    public int Step;

    /// <summary>1 to add, 0 to overwrite.</summary>
    public int Accumulate;

    public readonly void Write(int slice, int line, int column, F4 sums)
    {
        if (line >= Lines)
            return;
        int pixelRow = PixelsW.Divide(line);
        int n = PixelsH.Divide(pixelRow);
        int y = FirstH + (Step * PixelsH.Remainder(pixelRow, n));
        int x = FirstW + (Step * PixelsW.Remainder(line, pixelRow));
        ResultRow<TWidth>.Put(Values, ((((n * H) + y) * W) + x) * C, column, C, sums, Accumulate);
    }
}

/// <summary>The output of a convolution: bias, residual and activation, in this order, then the store into a slice of the channels.</summary>
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

    public readonly void Write(int slice, int line, int column, F4 sums)
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

/// <summary>Four neighbouring values of a row, as one access or as up to four.</summary>
internal static class ResultRow<TWidth>
    where TWidth : struct, IAccessWidth
{
    public static F4 Get(ArrayView<float> values, int row, int column, int columns)
    {
        F4 four = default;
        if (TWidth.IsFour)
            return column < columns ? values.Cast<F4>()[(row + column) >> 2] : four;
        if (column < columns)
            four.X = values[row + column];
        if (column + 1 < columns)
            four.Y = values[row + column + 1];
        if (column + 2 < columns)
            four.Z = values[row + column + 2];
        if (column + 3 < columns)
            four.W = values[row + column + 3];
        return four;
    }

    public static void Put(ArrayView<float> values, int row, int column, int columns, F4 four, int accumulate)
    {
        if (accumulate != 0)
            four = F4.Add(four, Get(values, row, column, columns));
        if (TWidth.IsFour)
        {
            if (column < columns)
                values.Cast<F4>()[(row + column) >> 2] = four;
            return;
        }
        if (column < columns)
            values[row + column] = four.X;
        if (column + 1 < columns)
            values[row + column + 1] = four.Y;
        if (column + 2 < columns)
            values[row + column + 2] = four.Z;
        if (column + 3 < columns)
            values[row + column + 3] = four.W;
    }
}

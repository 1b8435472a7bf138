namespace Diffusion.Gpu.Kernels.Images;

/// <summary>The interpolation kernel of a resize.</summary>
public enum ResizeFilter
{
    /// <summary>A triangle, one source pixel wide on either side, wider by the reduction when the image shrinks.</summary>
    Bilinear,

    /// <summary>Keys' cubic with a = -0.5, two source pixels wide on either side, wider by the reduction when the image shrinks.</summary>
    Bicubic,
}

/// <summary>For every output position along one axis: the source positions it reads and their weights.</summary>
/// <remarks>Pillow, Resample.c, precompute_coeffs and normalize_coeffs_8bpc: same expressions in the same order.</remarks>
internal sealed class ResizeCoefficients
{
    /// <summary>Fractional bits of a fixed-point weight: 32 less 8 for the sample and 2 for overshoot.</summary>
    public const int FractionBits = 32 - 8 - 2;

    private readonly int[] starts;
    private readonly int[] counts;
    private readonly double[] weights;
    private readonly int[] fixedWeights;
    private readonly int width;

    /// <summary>Computes the weights for a stretch of output positions.</summary>
    /// <param name="sourceSize">Pixels before.</param>
    /// <param name="targetSize">Pixels after.</param>
    /// <param name="filter">The kernel.</param>
    /// <param name="first">First output position wanted.</param>
    /// <param name="count">Output positions wanted.</param>
    public ResizeCoefficients(int sourceSize, int targetSize, ResizeFilter filter, int first, int count)
    {
        double scale = (double)sourceSize / targetSize;
        double filterScale = Math.Max(scale, 1.0);
        double support = (filter == ResizeFilter.Bilinear ? 1.0 : 2.0) * filterScale;
        width = ((int)Math.Ceiling(support) * 2) + 1;
        starts = new int[count];
        counts = new int[count];
        weights = new double[count * width];
        fixedWeights = new int[count * width];
        for (int i = 0; i < count; i++)
        {
            double center = (first + i + 0.5) * scale;
            int start = Math.Max((int)(center - support + 0.5), 0);
            int end = Math.Min((int)(center + support + 0.5), sourceSize);
            starts[i] = start;
            counts[i] = end - start;
            Weigh(filter, start - center + 0.5, 1.0 / filterScale, i);
        }
    }

    /// <summary>First source position that any output position reads.</summary>
    public int First => starts[0];

    /// <summary>One past the last source position that any output position reads.</summary>
    public int End => starts[^1] + counts[^1];

    /// <summary>First source position that an output position reads.</summary>
    public int Start(int position) => starts[position];

    /// <summary>Weights that add up to one.</summary>
    public ReadOnlySpan<double> Weights(int position) => weights.AsSpan(position * width, counts[position]);

    /// <summary>Weights times 2^22, rounded half away from zero.</summary>
    public ReadOnlySpan<int> FixedWeights(int position) => fixedWeights.AsSpan(position * width, counts[position]);

    private void Weigh(ResizeFilter filter, double offset, double step, int position)
    {
        var row = weights.AsSpan(position * width, counts[position]);
        double sum = 0;
        for (int x = 0; x < row.Length; x++)
        {
            row[x] = filter == ResizeFilter.Bilinear ? Triangle((x + offset) * step) : Cubic((x + offset) * step);
            sum += row[x];
        }

        for (int x = 0; x < row.Length; x++)
        {
            row[x] = sum == 0 ? row[x] : row[x] / sum;
            double scaled = row[x] * (1 << FractionBits);
            fixedWeights[(position * width) + x] = (int)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
        }
    }

    private static double Triangle(double x) => Math.Max(1.0 - Math.Abs(x), 0.0);

    private static double Cubic(double x)
    {
        const double A = -0.5;
        x = Math.Abs(x);
        return x < 1.0 ? ((((A + 2.0) * x) - (A + 3.0)) * x * x) + 1.0
            : x < 2.0 ? ((((x - 5.0) * x) + 8.0) * x - 4.0) * A
            : 0.0;
    }
}

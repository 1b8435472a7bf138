namespace Diffusion.Gpu.Kernels;

/// <summary>Where the rows of a product go: pixels of channels-last images, all or every few, into all channels or a slice.</summary>
/// <param name="data">The first image's first value.</param>
/// <param name="height">Image height in pixels.</param>
/// <param name="width">Image width in pixels.</param>
/// <param name="channels">Floats from one pixel to the next.</param>
/// <param name="step">Distance of neighbouring pixels that are written.</param>
/// <param name="y">First row that is written.</param>
/// <param name="x">First column that is written.</param>
/// <param name="accumulate">Adds to what is there.</param>
internal readonly unsafe struct GemmTarget(float* data, int height, int width, nint channels, int step, int y, int x, bool accumulate)
{
    private readonly float* _data = data;

    /// <summary>Floats from one written pixel to the next in its row.</summary>
    public nint Stride => step * channels;

    /// <summary>Whether the product is added to what is there.</summary>
    public bool Accumulate => accumulate;

    /// <summary>Every pixel of images, or the rows of a matrix as one image a pixel wide.</summary>
    public static GemmTarget All(float* data, in GemmWindow window, nint channels, bool accumulate) =>
        new(data, window.OutH, window.OutW, channels, 1, 0, 0, accumulate);

    /// <summary>The first pixel of a line of windows.</summary>
    public float* Line(int image, int line) => _data + (((((image * (nint)height) + y + (line * step)) * width) + x) * channels);
}

/// <summary>What happens to each sum before it is stored.</summary>
/// <param name="bias">[columns] or null.</param>
/// <param name="residual">One row per pixel, or null.</param>
/// <param name="residualStride">Floats from one of its rows to the next.</param>
/// <param name="activation">Applied last.</param>
internal readonly unsafe struct GemmEpilogue(float* bias, float* residual, nint residualStride, Activation activation)
{
    private readonly float* _bias = bias;
    private readonly float* _residual = residual;

    public bool IsEmpty => _bias is null && _residual is null && activation == Activation.None;

    /// <summary>Applies it to whole registers of one row in place.</summary>
    /// <param name="kernel">Does the arithmetic.</param>
    /// <param name="row">The sums.</param>
    /// <param name="pixel">Row of the residual.</param>
    /// <param name="column">Column of the first sum.</param>
    /// <param name="columns">Sums that count; the last register may hold more, for which nothing is read.</param>
    public void Apply(MicroKernel kernel, float* row, long pixel, int column, int columns)
    {
        int vectors = kernel.VectorsFor(columns), width = vectors * kernel.Lanes;
        float* bias = _bias is null ? null : _bias + column;
        float* residual = _residual is null ? null : _residual + (pixel * residualStride) + column;
        float* padded = stackalloc float[2 * MicroKernel.MaxPanelWidth];
        if (width > columns)
        {
            bias = Padded(bias, columns, width, padded);
            residual = Padded(residual, columns, width, padded + width);
        }

        kernel.Finish(vectors, row, bias, residual, activation);
    }

    private static float* Padded(float* values, int count, int width, float* room)
    {
        if (values is null)
            return null;
        new Span<float>(values, count).CopyTo(new Span<float>(room, count));
        new Span<float>(room + count, width - count).Clear();
        return room;
    }
}

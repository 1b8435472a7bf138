namespace Diffusion.Gpu.Kernels;

/// <summary>The images that windows lie in: [N, H, W, C] in one piece, or their channels in two, or every 2×2 pixels as one.</summary>
/// <param name="first">[N, H, W, firstChannels].</param>
/// <param name="second">[N, H, W, C − firstChannels], or null where the first has all.</param>
/// <param name="firstChannels">Channels of the first; means nothing where it has all.</param>
/// <param name="isUpsampled">Every pixel of the first stands for 2×2: it is [N, H/2, W/2, C].</param>
internal readonly unsafe struct GemmImages(float* first, float* second, int firstChannels, bool isUpsampled)
{
    private readonly float* _first = first, _second = second;

    /// <summary>Whether windows can be read where they lie.</summary>
    public bool IsWhole => _second is null && !isUpsampled;

    /// <summary>Whether every pixel in memory stands for 2×2.</summary>
    public bool IsUpsampled => isUpsampled;

    /// <summary>The first image's first value.</summary>
    public float* First => _first;

    /// <summary>Images in one piece.</summary>
    public static implicit operator GemmImages(float* images) => new(images, null, 0, false);

    /// <summary>The images of a convolution.</summary>
    public static GemmImages Of(in Conv2DInput x) =>
        new(CpuBackend.Pointer(x.First), CpuBackend.PointerOrNull(x.Second), x.FirstChannels, x.IsUpsampled);

    /// <summary>Copies some pixels of a row, all channels of each.</summary>
    /// <param name="window">Sizes of the images.</param>
    /// <param name="image">Number of the image.</param>
    /// <param name="row">Row in it.</param>
    /// <param name="column">The first pixel.</param>
    /// <param name="count">Pixels.</param>
    /// <param name="target">[count, C].</param>
    public void CopyRow(in GemmWindow window, int image, int row, int column, int count, float* target)
    {
        if (isUpsampled)
        {
            float* start = _first + (((image * (nint)(window.H / 2)) + (row / 2)) * (window.W / 2) * window.C);
            for (int i = column; i < column + count; i++, target += window.C)
                new Span<float>(start + (i / 2 * (nint)window.C), window.C).CopyTo(new Span<float>(target, window.C));
            return;
        }

        nint pixel = (((image * (nint)window.H) + row) * window.W) + column;
        if (IsWhole)
        {
            nint bytes = count * (nint)window.C * sizeof(float);
            Buffer.MemoryCopy(_first + (pixel * window.C), target, bytes, bytes);
            return;
        }

        int secondChannels = window.C - firstChannels;
        float* a = _first + (pixel * firstChannels), b = _second + (pixel * secondChannels);
        for (int i = 0; i < count; i++, a += firstChannels, b += secondChannels, target += window.C)
        {
            new Span<float>(a, firstChannels).CopyTo(new Span<float>(target, firstChannels));
            new Span<float>(b, secondChannels).CopyTo(new Span<float>(target + firstChannels, secondChannels));
        }
    }

    /// <summary>The first image row, all columns of it, that windows of the given line read; of the first channels alone.</summary>
    /// <param name="window">The windows.</param>
    /// <param name="line">Number of the line among those of all images.</param>
    public float* Line(in GemmWindow window, int line)
    {
        (int image, int row) = Math.DivRem(line, window.OutH);
        nint pixel = ((image * (nint)window.H) + Math.Clamp(window.OriginY + (row * window.Step), 0, window.H)) * window.W;
        return _first + (pixel * FloatsOfPixel(window));
    }

    /// <summary>About how many floats from <see cref="Line"/> on the windows of some lines read, each counted once.</summary>
    /// <param name="window">The windows.</param>
    /// <param name="lines">Number of lines.</param>
    public nint FloatsOf(in GemmWindow window, int lines) =>
        lines * Math.Min(window.Step, window.R) * (nint)window.W * FloatsOfPixel(window);

    /// <summary>In the first images, per pixel that windows see.</summary>
    private int FloatsOfPixel(in GemmWindow window) => IsWhole ? window.C : isUpsampled ? window.C / 4 : firstChannels;
}

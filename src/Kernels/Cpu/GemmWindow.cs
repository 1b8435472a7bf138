namespace Diffusion.Gpu.Kernels;

/// <summary>The rows of an implicit matrix: each pixel of a result reads a window of channels-last images, zero outside them.</summary>
/// <param name="N">Images.</param>
/// <param name="H">Height of the images that are read.</param>
/// <param name="W">Width of the images that are read.</param>
/// <param name="C">Channels.</param>
/// <param name="OutH">Rows of pixels per image.</param>
/// <param name="OutW">Pixels per row.</param>
/// <param name="Step">Distance of neighbouring windows.</param>
/// <param name="OriginY">Image row under the first window's first row; negative inside padding.</param>
/// <param name="OriginX">Image column under the first window's first column.</param>
/// <param name="R">Height of the window.</param>
/// <param name="S">Width of the window.</param>
internal readonly record struct GemmWindow(
    int N, int H, int W, int C, int OutH, int OutW, int Step, int OriginY, int OriginX, int R, int S)
{
    /// <summary>The windows of a convolution over its input.</summary>
    public static GemmWindow Of(in Conv2DShape s) => s.IsPointwise ? Rows(s.N * s.H * s.W, s.C) : OfPixels(s);

    /// <summary>The windows of a convolution over its input, of whose pixels' places it must know.</summary>
    public static GemmWindow OfPixels(in Conv2DShape s) =>
        new(s.N, s.H, s.W, s.C, s.OutH, s.OutW, s.Stride, -s.PadH, -s.PadW, s.R, s.S);

    /// <summary>The rows of a matrix.</summary>
    public static GemmWindow Rows(int rows, int depth) => new(1, rows, 1, depth, rows, 1, 1, 0, 0, 1, 1);

    /// <summary>The rows of pixels of all images, numbered one after the other.</summary>
    public int Lines => N * OutH;

    /// <summary>Rows of the matrix.</summary>
    public int Pixels => Lines * OutW;

    /// <summary>Contiguous floats of one row of a window.</summary>
    public int Run => S * C;

    /// <summary>Columns of the matrix.</summary>
    public int Depth => R * Run;

    /// <summary>Whether some window reaches outside its image.</summary>
    public bool IsClipped => Depth > 0 && (OriginY < 0 || OriginX < 0
        || OriginY + ((OutH - 1) * Step) + R > H || OriginX + ((OutW - 1) * Step) + S > W);

    /// <summary>Lines per block: about the given number of pixels, and whole images or equal parts of one where that is near.</summary>
    /// <param name="pixels">Pixels wanted per block.</param>
    public int LinesPerBlock(int pixels)
    {
        int lines = Math.Max(1, pixels / OutW);
        return lines < OutH ? Even(OutH, lines) : Even(N, lines / OutH) * OutH;

        static int Even(int length, int most)
        {
            int parts = (length + most - 1) / most;
            return (length + parts - 1) / parts;
        }
    }
}

/// <summary>Where the windows of a block are read.</summary>
internal enum GemmCopy
{
    /// <summary>In the images themselves, which are whole.</summary>
    None,

    /// <summary>In a copy of the rows that they reach; a window outside its image must not be read.</summary>
    Rows,

    /// <summary>In a copy with a border of zeros, after whose last value a panel's width of zeros follows.</summary>
    Padded,
}

/// <summary>The start of every window of a block of lines, in the images themselves or in a copy.</summary>
internal readonly unsafe ref struct GemmBlock
{
    private GemmBlock(float** starts, int pixels, nint pitch)
    {
        Starts = starts;
        Pixels = pixels;
        Pitch = pitch;
    }

    /// <summary>[Pixels] window starts, the last one repeated to fill a tile.</summary>
    public float** Starts { get; }

    /// <summary>Pixels of the block.</summary>
    public int Pixels { get; }

    /// <summary>Floats from one row of a window to the next.</summary>
    public nint Pitch { get; }

    /// <summary>Points at the windows of lines [first, end).</summary>
    /// <param name="window">The implicit matrix.</param>
    /// <param name="images">[N, H, W, C].</param>
    /// <param name="first">First line.</param>
    /// <param name="end">One past the last line.</param>
    /// <param name="copy">Where they are read.</param>
    /// <param name="scratch">Gives the memory.</param>
    public static GemmBlock Create(in GemmWindow window, in GemmImages images, int first, int end, GemmCopy copy, GemmScratch scratch)
    {
        int pixels = (end - first) * window.OutW, next = 0;
        float** starts = scratch.Pointers.TakePointers(pixels + (long)MicroKernel.Rows);
        nint pixelStep = window.Step * (nint)window.C, pitch = window.W * (nint)window.C;
        float* slab = null;
        if (copy == GemmCopy.Padded)
            pitch = (((window.OutW - 1) * window.Step) + window.S) * (nint)window.C;
        if (copy != GemmCopy.None)
        {
            // At most one image per line is cut, and each part adds the rows that its last window reaches over.
            long parts = ((first % window.OutH) + (end - first) + window.OutH - 1) / window.OutH;
            long rows = ((end - first) * (long)window.Step) + (parts * window.R);
            slab = scratch.Slab.Take<float>((rows * pitch) + MicroKernel.MaxPanelWidth);
        }

        for (int line = first; line < end;)
        {
            int image = line / window.OutH, top = line % window.OutH, lines = Math.Min(window.OutH - top, end - line);
            int y = window.OriginY + (top * window.Step), rows = ((lines - 1) * window.Step) + window.R;
            float* origin;
            if (copy == GemmCopy.Padded)
            {
                origin = slab;
                slab = CopyPadded(window, images, image, y, rows, pitch, slab);
            }
            else if (copy == GemmCopy.Rows)
            {
                int inside = Math.Clamp(y, 0, window.H), below = Math.Clamp(y + rows, inside, window.H);
                origin = slab + ((((y - inside) * (nint)window.W) + window.OriginX) * window.C);
                for (; inside < below; inside++, slab += pitch)
                    images.CopyRow(window, image, inside, 0, window.W, slab);
            }
            else
            {
                origin = images.First + ((((image * (nint)window.H) + y) * window.W) + window.OriginX) * window.C;
            }

            for (int i = 0; i < lines; i++)
            {
                float* start = origin + (i * window.Step * pitch);
                for (int j = 0; j < window.OutW; j++, start += pixelStep)
                    starts[next++] = start;
            }

            line += lines;
        }

        if (copy == GemmCopy.Padded)
            new Span<float>(slab, MicroKernel.MaxPanelWidth).Clear();
        for (int i = 0; i < MicroKernel.Rows; i++)
            starts[pixels + i] = starts[pixels - 1];
        return new GemmBlock(starts, pixels, pitch);
    }

    /// <summary>Copies rows [y, y + rows) of an image with its zero border and returns the end of the copy.</summary>
    private static float* CopyPadded(in GemmWindow window, in GemmImages images, int image, int y, int rows, nint pitch, float* slab)
    {
        int width = (int)(pitch / window.C);
        int left = Math.Clamp(-window.OriginX, 0, width), right = Math.Clamp(window.W - window.OriginX, left, width);
        nint head = left * (nint)window.C, body = (right - left) * (nint)window.C;
        for (int row = y; row < y + rows; row++, slab += pitch)
        {
            if ((uint)row >= (uint)window.H || body == 0)
            {
                new Span<float>(slab, (int)pitch).Clear();
                continue;
            }

            new Span<float>(slab, (int)head).Clear();
            images.CopyRow(window, image, row, window.OriginX + left, right - left, slab + head);
            new Span<float>(slab + head + body, (int)(pitch - head - body)).Clear();
        }

        return slab;
    }
}

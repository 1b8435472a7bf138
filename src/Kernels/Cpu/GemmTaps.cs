namespace Diffusion.Gpu.Kernels;

/// <summary>The windows of a block of pixels tap by tap, read in place: taps outside an image read zeros or are skipped.</summary>
/// <remarks>
/// On small images much of each window is padding. Pixels at the same place of all images of a block stand beside each other, so that
/// most tiles agree on which taps to skip. A sum does not depend on that: a tap that reads zeros leaves it as it is.
/// </remarks>
internal readonly unsafe ref struct GemmTaps
{
    /// <summary>Most pixels of an image for which skipping pays: with larger ones too little of a window is padding.</summary>
    private const int MostPixels = 64;

    /// <summary>Fewest channels for which a tap is worth a call of its own.</summary>
    private const int FewestChannels = 192;

    private readonly GemmWindow _window;
    private readonly GemmBlock _block;
    private readonly int* _order;
    private readonly float* _zeros;

    private GemmTaps(in GemmWindow window, in GemmBlock block, int* order, float* zeros)
    {
        _window = window;
        _block = block;
        _order = order;
        _zeros = zeros;
    }

    /// <summary>Whether to go tap by tap; the shape of one image decides.</summary>
    public static bool Pays(in GemmWindow window) =>
        window.IsClipped && window.OutH * window.OutW <= MostPixels && window.C >= FewestChannels;

    /// <summary>Prepares a block of whole lines.</summary>
    /// <param name="window">The implicit matrix.</param>
    /// <param name="block">Its windows, in place.</param>
    /// <param name="order">[pixels + 6] the block's pixels in the order of tiles, see <see cref="Order"/>.</param>
    /// <param name="scratch">Gives the memory.</param>
    public static GemmTaps Create(in GemmWindow window, in GemmBlock block, int* order, GemmScratch scratch)
    {
        float* zeros = scratch.Zeros.Take<float>(window.C);
        new Span<float>(zeros, window.C).Clear();
        return new GemmTaps(window, block, order, zeros);
    }

    /// <summary>Writes [pixels + 6] numbers of a block's pixels in the order of tiles, the last one repeated to fill a tile.</summary>
    /// <param name="pixels">Pixels of the block.</param>
    /// <param name="image">Pixels of an image if neighbouring tiles should hold the same places of all images, else 1.</param>
    /// <param name="order">Written.</param>
    public static void Order(int pixels, int image, int* order)
    {
        int next = 0;
        for (int place = 0; place < image; place++)
        {
            for (int pixel = place; pixel < pixels; pixel += image)
                order[next++] = pixel;
        }

        for (int i = 0; i < MicroKernel.Rows; i++)
            order[pixels + i] = order[pixels - 1];
    }

    /// <summary>Writes where the six windows of a tile have the given tap.</summary>
    /// <param name="tap">Number of the tap, row by row.</param>
    /// <param name="offset">First channel.</param>
    /// <param name="firstLine">First line of the block.</param>
    /// <param name="tile">First place in the order.</param>
    /// <param name="starts">[6], written.</param>
    /// <returns>Whether any of them lies inside its image.</returns>
    public bool Find(int tap, nint offset, int firstLine, int tile, float** starts)
    {
        (int r, int s) = Math.DivRem(tap, _window.S);
        offset += (r * _block.Pitch) + (s * (nint)_window.C);
        bool any = false;
        for (int i = 0; i < MicroKernel.Rows; i++)
        {
            int pixel = _order[tile + i];
            (int line, int column) = Math.DivRem(pixel, _window.OutW);
            int y = _window.OriginY + ((firstLine + line) % _window.OutH * _window.Step) + r;
            int x = _window.OriginX + (column * _window.Step) + s;
            bool isInside = (uint)y < (uint)_window.H && (uint)x < (uint)_window.W;
            starts[i] = isInside ? _block.Starts[pixel] + offset : _zeros;
            any |= isInside;
        }

        return any;
    }
}

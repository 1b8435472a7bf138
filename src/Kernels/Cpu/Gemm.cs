namespace Diffusion.Gpu.Kernels;

/// <summary>target = epilogue(windows · packed): convolutions, their input gradients, linear layers and matrix products.</summary>
/// <remarks>
/// Work is cut into blocks of pixels times groups of panels. A block's windows are pointers into the images, or into a padded or joined
/// copy of just the lines it reads, which stays in the second-level cache; on small images they are pointers to single taps. A panel is
/// read in pieces that stay in that cache too while all tiles of the block pass over them. The cut into items may depend on the number of
/// threads because no sum does: each runs in order of depth, in pieces that the depth alone decides.
/// </remarks>
internal sealed unsafe class Gemm
{
    /// <summary>Most depth of a panel piece; times the panel's width it fills an eighth to a quarter of the second-level cache.</summary>
    private const int DepthOfPiece = 576;

    /// <summary>Floats of a block's windows.</summary>
    private const int FloatsOfBlock = 128 * 1024;

    private const int MostPixels = 256;
    private const int FewestPixels = 48;

    /// <summary>Tiles that one call of the inner loop takes; their outputs stay in the first-level cache for the epilogue.</summary>
    private const int TilesOfCall = 8;
    private const int ItemsPerThread = 3;

    /// <summary>Multiply-adds under which waking other threads costs more than it saves.</summary>
    private const double SerialWork = 5e5;

    private const int Rows = MicroKernel.Rows;

    private readonly GemmWindow _window;
    private readonly GemmImages _images;
    private readonly PackedMatrix _packed;
    private readonly MicroKernel _kernel;
    private readonly GemmTarget _target;
    private readonly GemmEpilogue _epilogue;
    private readonly bool _byTap;
    private readonly Piece[] _pieces;
    private readonly int _linesPerBlock;
    private readonly int _blocks;
    private readonly int _groups;

    private readonly int _items;
    private readonly double _work;

    /// <summary>Prepares a product for <see cref="Run(Gemm[])"/>; the parameters are those of the other one.</summary>
    public Gemm(in GemmWindow window, in GemmImages images, PackedMatrix packed, in GemmTarget target,
        in GemmEpilogue epilogue = default)
    {
        _window = window;
        _images = images;
        _packed = packed;
        _kernel = packed.Kernel;
        _target = target;
        _epilogue = epilogue;
        _byTap = GemmTaps.Pays(window);
        _pieces = [];
        if (window.Pixels == 0 || packed.Columns == 0)
            return;
        _pieces = [.. _byTap ? Pieces(window.R * window.S, window.C, 1) : Pieces(window.R, window.Run, DepthOfPiece)];
        int pixels = FloatsOfBlock / Math.Max(1, window.C * window.Step * window.Step);
        _linesPerBlock = window.LinesPerBlock(Math.Clamp(pixels, FewestPixels, MostPixels));
        _blocks = (window.Lines + _linesPerBlock - 1) / _linesPerBlock;
        _groups = Groups(packed.Panels, (ItemsPerThread * ForkJoinPool.Threads + _blocks - 1) / _blocks);
        _items = _blocks * _groups;
        _work = (double)window.Pixels * packed.Depth * packed.Columns;
    }

    /// <summary>Computes one product.</summary>
    /// <param name="window">The rows of the left matrix; its depth is that of <paramref name="packed"/>.</param>
    /// <param name="images">What the windows lie in.</param>
    /// <param name="packed">The right matrix.</param>
    /// <param name="target">Where the product goes.</param>
    /// <param name="epilogue">Applied to each sum; must be empty where the target accumulates.</param>
    public static void Run(in GemmWindow window, in GemmImages images, PackedMatrix packed, in GemmTarget target,
        in GemmEpilogue epilogue = default) => Run([new Gemm(window, images, packed, target, epilogue)]);

    /// <summary>Computes products over the same images, block by block: what one has read, the next finds in the cache.</summary>
    /// <param name="products">They write to different places.</param>
    public static void Run(Gemm[] products)
    {
        int items = products.Max(product => product._items);
        bool parallel = products.Sum(product => product._work) >= SerialWork;
        ForkJoinPool.Run(items, item =>
        {
            foreach (var product in products)
            {
                if (item < product._items)
                    product.Compute(item);
            }
        }, parallel);
    }

    private void Compute(int item)
    {
        int block = item / _groups, group = item % _groups;
        int first = block * _linesPerBlock, end = Math.Min(_window.Lines, first + _linesPerBlock);
        var scratch = GemmScratch.Current;
        var copy = _window.IsClipped && !_byTap ? GemmCopy.Padded : _images.IsWhole ? GemmCopy.None : GemmCopy.Rows;
        var windows = GemmBlock.Create(_window, _images, first, end, copy, scratch);
        int* order = scratch.Order.Take<int>(windows.Pixels + Rows);
        GemmTaps.Order(windows.Pixels, _byTap && (end - first) % _window.OutH == 0 ? _window.OutH * _window.OutW : 1, order);
        float** targets = Targets(first, end, scratch);
        var taps = _byTap ? GemmTaps.Create(_window, windows, order, scratch) : default;
        var ahead = Ahead(item + ForkJoinPool.Threads);
        int panels = _packed.Panels;
        for (int panel = group * panels / _groups; panel < (group + 1) * panels / _groups; panel++)
            ComputePanel(panel, windows, taps, order, targets, first, ref ahead, scratch);
    }

    /// <summary>What the item reads and writes that this thread is likely to take next.</summary>
    private GemmAhead Ahead(int item)
    {
        int first = item / _groups * _linesPerBlock, lines = Math.Min(_linesPerBlock, _window.Lines - first);
        if (lines <= 0 || _groups > 1)
            return default;
        (int image, int line) = Math.DivRem(first, _window.OutH);
        nint floats = _images.FloatsOf(_window, lines), written = lines * _window.OutW * _target.Stride;
        return floats + written > FloatsOfBlock
            ? default
            : new GemmAhead(_images.Line(_window, first), floats, _target.Line(image, line), written);
    }

    private float** Targets(int first, int end, GemmScratch scratch)
    {
        float** targets = scratch.Targets.TakePointers((end - first) * (long)_window.OutW), next = targets;
        (int image, int line) = Math.DivRem(first, _window.OutH);
        for (int count = end - first; count > 0; count--)
        {
            float* pixel = _target.Line(image, line);
            for (int column = 0; column < _window.OutW; column++, pixel += _target.Stride)
                *next++ = pixel;
            if (++line == _window.OutH)
                (image, line) = (image + 1, 0);
        }

        return targets;
    }

    private void ComputePanel(int panel, in GemmBlock windows, in GemmTaps taps, int* order, float** targets, int firstLine,
        ref GemmAhead ahead, GemmScratch scratch)
    {
        int vectors = _packed.VectorsOf(panel), width = vectors * _kernel.Lanes, column = panel * _kernel.PanelWidth;
        // Columns that do not fill their registers, and rows past the last pixel, are computed beside the target.
        bool isTail = _packed.ColumnsOf(panel) < width;
        float* beside = scratch.Tail.Take<float>((windows.Pixels + Rows) * (long)width);
        // A tile that finds its taps for itself comes alone; others share a call, which is worth most where the depth is short.
        int tilesOfCall = _byTap ? 1 : TilesOfCall;
        float** outputs = stackalloc float*[Rows * tilesOfCall];
        float** starts = stackalloc float*[Rows * tilesOfCall * Math.Max(1, _window.R)];
        float* data = _packed.Panel(panel);
        bool* started = stackalloc bool[(windows.Pixels / Rows) + 1];
        new Span<bool>(started, (windows.Pixels / Rows) + 1).Clear();
        foreach (ref readonly var piece in _pieces.AsSpan())
        {
            nint size = piece.Taps * piece.Length * width;
            float* part = data + (piece.Start * (nint)width);
            var following = new GemmAhead(part + size, size, part, 0);
            for (int first = 0; first < windows.Pixels; first += Rows * tilesOfCall)
            {
                int depths = piece.Taps, tiles = Math.Min(tilesOfCall, (windows.Pixels - first + Rows - 1) / Rows);
                ref bool isStarted = ref started[first / Rows];
                for (int tile = 0; tile < tiles && !_byTap; tile++)
                    Find(piece, windows, first + (tile * Rows), starts + (tile * Rows * depths));
                if (_byTap && !taps.Find(piece.Tap, piece.Offset, firstLine, first, starts))
                    depths = 0;

                for (int i = 0; i < tiles * Rows; i++)
                {
                    int pixel = first + i;
                    outputs[i] = isTail || pixel >= windows.Pixels ? beside + (pixel * (nint)width) : targets[order[pixel]] + column;
                }

                if (depths > 0 || (piece.IsLast && !isStarted))
                {
                    bool accumulate = isStarted || (_target.Accumulate && !isTail);
                    nint steps = tiles * depths * piece.Length;
                    byte* next = ahead.IsDone ? following.Next(steps, part) : ahead.Next(steps, part);
                    _kernel.Dot(vectors, tiles, depths, piece.Length, starts, part, outputs, accumulate, next);
                    isStarted = true;
                }

                if (piece.IsLast)
                {
                    int pixels = Math.Min(tiles * Rows, windows.Pixels - first);
                    Finish(panel, pixels, outputs, targets, order + first, firstLine * (long)_window.OutW, isTail);
                }
            }
        }
    }

    /// <summary>Writes the starts of a piece's window rows for the six pixels of a tile.</summary>
    private static void Find(in Piece piece, in GemmBlock windows, int tile, float** starts)
    {
        for (int tap = 0; tap < piece.Taps; tap++)
        {
            nint offset = ((piece.Tap + tap) * windows.Pitch) + piece.Offset;
            for (int i = 0; i < Rows; i++)
                starts[(tap * Rows) + i] = windows.Starts[tile + i] + offset;
        }
    }

    /// <summary>Applies the epilogue to finished rows and brings a tail home.</summary>
    private void Finish(int panel, int rows, float** outputs, float** targets, int* order, long firstPixel, bool isTail)
    {
        int column = panel * _kernel.PanelWidth, columns = _packed.ColumnsOf(panel);
        if (!_epilogue.IsEmpty)
        {
            for (int i = 0; i < rows; i++)
                _epilogue.Apply(_kernel, outputs[i], firstPixel + order[i], column, columns);
        }

        for (int i = 0; isTail && i < rows; i++)
        {
            float* target = targets[order[i]] + column;
            for (int j = 0; j < columns; j++)
                target[j] = _target.Accumulate ? target[j] + outputs[i][j] : outputs[i][j];
        }
    }

    /// <summary>The fewest groups, at least as many as wanted where there are panels for it, that all hold equally many panels.</summary>
    private static int Groups(int panels, int wanted)
    {
        int groups = Math.Min(wanted, panels);
        while (panels % groups != 0)
            groups++;
        return groups;
    }

    /// <summary>Cuts a depth of taps times run into pieces of about equal size, at least one; several taps only up to a depth.</summary>
    private static IEnumerable<Piece> Pieces(int taps, int run, int most)
    {
        int parts = Math.Max(1, (run + DepthOfPiece - 1) / DepthOfPiece), length = Math.Max(1, (run + parts - 1) / parts);
        int tapsPerPiece = parts > 1 ? 1 : Math.Clamp(most / Math.Max(1, run), 1, Math.Max(1, taps));
        int start = 0;
        for (int tap = 0; tap < Math.Max(1, taps); tap += tapsPerPiece)
        {
            for (int offset = 0; offset < Math.Max(1, run); offset += length)
            {
                int count = Math.Min(tapsPerPiece, taps - tap), width = Math.Min(length, run - offset);
                bool isLast = tap + tapsPerPiece >= taps && offset + length >= run;
                yield return new Piece(tap, count, offset, width, start, isLast);
                start += count * width;
            }
        }
    }

    /// <summary>A part of the depth: some window rows, and some of each.</summary>
    private readonly record struct Piece(int Tap, int Taps, nint Offset, nint Length, int Start, bool IsLast);
}

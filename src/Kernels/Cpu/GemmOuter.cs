using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>result (+)= valuesᵀ · windows: filter gradients, and matrix products whose left side is transposed.</summary>
/// <remarks>
/// The sum runs over pixels. It is cut into blocks and, where the result is small, into segments of blocks with partial results
/// that are added in order. Blocks and segments depend on the shape alone; how many tiles of the result one work item takes
/// may depend on the number of threads, since no sum does.
/// A tile is six columns of values by a panel of a window row, read where it lies. Values are packed by sixes where many panels pass
/// over them; packing costs about half as much as a panel does. Windows of many channels go tap by tap over just the pixels that the tap
/// finds inside its image; others go by whole rows, in a padded copy if need be. Where windows have too few channels to fill registers
/// the two sides change places, and the partial results are transposed at the end.
/// </remarks>
internal sealed unsafe class GemmOuter
{
    /// <summary>Pixels of a block whose values are packed.</summary>
    private const int PixelsOfBlock = 512;

    /// <summary>Pixels of a block whose values are read where they lie, and of the pieces in which that is done: a piece's panel and
    /// values stay in the first-level cache while all tiles pass over them.</summary>
    private const int PixelsInPlace = 128;
    private const int PixelsOfPiece = 64;

    /// <summary>Panels that must pass over packed values to pay for packing them, and for losing the first-level cache; measured.</summary>
    private const int WorthPacking = 10;

    private const int ItemsPerThread = 4;

    /// <summary>Floats that all partial results together may take.</summary>
    private const int PartialFloats = 1 << 19;

    private const int MostSegments = 8;

    /// <summary>How much fuller registers must be to pay for transposing the result.</summary>
    private const double WorthSwapping = 1.25;

    /// <summary>Multiply-adds under which waking other threads costs more than it saves.</summary>
    private const double SerialWork = 5e5;

    private const int Rows = MicroKernel.Rows;
    private const int FloatsOfCacheLine = 16;

    private readonly MicroKernel _kernel;
    private readonly GemmWindow _window;
    private readonly GemmImages _images;
    private readonly float* _values;
    private readonly int _columns;
    private readonly bool _swaps;
    private readonly bool _byTap;
    private readonly bool _packs;

    /// <summary>Rows and columns of the result, or of its transpose.</summary>
    private readonly int _height, _stride;

    /// <summary>Parts of a row that are contiguous on the right side, and their width.</summary>
    private readonly int _bands, _width;

    /// <summary>Rows that are contiguous on the left side, and the tiles that hold them.</summary>
    private readonly int _rowsOfBand, _tilesOfBand;

    private readonly int _rowTiles;
    private readonly int _linesPerBlock;
    private readonly int _pixelsOfPiece;
    private readonly int _blocks;
    private readonly int _segments;
    private readonly int _groups;
    private readonly float* _output;
    private readonly bool _accumulate;

    private GemmOuter(MicroKernel kernel, in GemmWindow window, in GemmImages images, float* values, int columns, float* result,
        bool accumulate)
    {
        _kernel = kernel;
        _window = window;
        _images = images;
        _values = values;
        _columns = columns;
        _swaps = columns % kernel.Lanes == 0 && Filled(columns) > WorthSwapping * Filled(window.Run);
        _byTap = !_swaps && window.C >= kernel.PanelWidth && window.C % kernel.Lanes == 0;
        (_height, _stride) = _swaps ? (window.Depth, columns) : (columns, window.Depth);
        (_bands, _width) = _swaps ? (1, columns) : _byTap ? (window.R * window.S, window.C) : (window.R, window.Run);
        _rowsOfBand = _swaps ? window.Run : columns;
        _tilesOfBand = (_rowsOfBand + Rows - 1) / Rows;
        _rowTiles = _swaps ? window.R * _tilesOfBand : _tilesOfBand;
        _packs = !_swaps && _bands * ((_width + kernel.PanelWidth - 1) / kernel.PanelWidth) >= WorthPacking;
        (int pixelsOfBlock, _pixelsOfPiece) = _packs || _swaps ? (PixelsOfBlock, PixelsOfBlock) : (PixelsInPlace, PixelsOfPiece);
        _linesPerBlock = window.LinesPerBlock(pixelsOfBlock);
        _blocks = (window.Lines + _linesPerBlock - 1) / _linesPerBlock;
        int segments = Math.Clamp(PartialFloats / (columns * window.Depth), 1, Math.Min(MostSegments, _blocks));
        _segments = (int)BitOperations.RoundUpToPowerOf2((uint)segments + 1) / 2;
        _groups = Math.Clamp(ItemsPerThread * ForkJoinPool.Threads / _segments, 1, _rowTiles);
        IsPartial = _segments > 1 || _swaps;
        _accumulate = accumulate && !IsPartial;
        _output = IsPartial ? GemmScratch.Current.Partials.Take<float>(_segments * (long)columns * window.Depth) : result;
    }

    /// <summary>Whether the work items leave partial results.</summary>
    private bool IsPartial { get; }

    /// <summary>Computes the product.</summary>
    /// <param name="kernel">Does the arithmetic.</param>
    /// <param name="window">The right matrix, one row per pixel.</param>
    /// <param name="images">What the windows lie in.</param>
    /// <param name="values">[pixels, columns], the left matrix before transposition.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="result">[columns, depth].</param>
    /// <param name="accumulate">Adds to the result.</param>
    public static void Run(MicroKernel kernel, in GemmWindow window, in GemmImages images, float* values, int columns, float* result,
        bool accumulate)
    {
        nint count = columns * (nint)window.Depth;
        if (count == 0)
            return;
        if (window.Pixels == 0)
        {
            if (!accumulate)
                new Span<float>(result, checked((int)count)).Clear();
            return;
        }

        var outer = new GemmOuter(kernel, window, images, values, columns, result, accumulate);
        ForkJoinPool.Run(outer._segments * outer._groups, outer.Compute, count * (double)window.Pixels >= SerialWork);
        if (outer._swaps)
            ForkJoinPool.RunRanges(outer._height, 32, (first, end) => outer.AddTransposed(result, (nint)first, (nint)end, accumulate));
        else if (outer.IsPartial)
            ForkJoinPool.RunRanges(count, 1 << 12, (first, end) => outer.AddSegments(result, (nint)first, (nint)end, accumulate));
    }

    /// <summary>The part of its registers that a row of floats uses.</summary>
    private double Filled(int width) => (double)width / (_kernel.VectorsFor(width) * _kernel.Lanes);

    private void Compute(int item)
    {
        int segment = item / _groups, group = item % _groups;
        int firstTile = group * _rowTiles / _groups, endTile = (group + 1) * _rowTiles / _groups;
        int firstBlock = segment * _blocks / _segments, endBlock = (segment + 1) * _blocks / _segments;
        float* output = _output + (segment * (nint)_height * _stride);
        var scratch = GemmScratch.Current;
        for (int block = firstBlock; block < endBlock; block++)
        {
            int first = block * _linesPerBlock, end = Math.Min(_window.Lines, first + _linesPerBlock);
            var tiles = new Tiles(firstTile, endTile, output, block > firstBlock || _accumulate, Ahead(block + 1, endBlock));
            ComputeBlock(first, end, ref tiles, scratch);
        }
    }

    /// <summary>The images and values of the next block, to be asked for while the tiles of this one are computed.</summary>
    private GemmAhead Ahead(int block, int endBlock)
    {
        if (block >= endBlock)
            return default;
        int first = block * _linesPerBlock, lines = Math.Min(_linesPerBlock, _window.Lines - first);
        nint row = _window.OutW * (nint)_columns;
        return new GemmAhead(_images.Line(_window, first), _images.FloatsOf(_window, lines), _values + (first * row), lines * row);
    }

    private void ComputeBlock(int first, int end, ref Tiles tiles, GemmScratch scratch)
    {
        // A panel that sticks out of its row reads past the last row: then the images are copied, with room to spare.
        int pixels = (end - first) * _window.OutW;
        var copy = !_byTap && (_window.IsClipped || (!_swaps && _width % _kernel.Lanes != 0)) ? GemmCopy.Padded
            : _images.IsWhole ? GemmCopy.None : GemmCopy.Rows;
        var windows = GemmBlock.Create(_window, _images, first, end, copy, scratch);
        float** pairs = scratch.Pairs.TakePointers(2L * pixels);
        float* values = _values + (first * (nint)_window.OutW * _columns);
        if (_swaps)
        {
            for (int p = 0; p < pixels; p++, values += _columns)
            {
                pairs[2 * p] = windows.Starts[p];
                pairs[(2 * p) + 1] = values;
            }

            for (int band = tiles.First / _tilesOfBand; band * _tilesOfBand < tiles.End; band++)
            {
                int firstTile = Math.Max(0, tiles.First - (band * _tilesOfBand));
                int endTile = Math.Min(_tilesOfBand, tiles.End - (band * _tilesOfBand));
                ComputeBand(firstTile, endTile, pixels, pairs, band * windows.Pitch, Rows, 0,
                    tiles.Output + (band * (nint)_rowsOfBand * _stride), ref tiles);
            }

            return;
        }

        nint row = _columns, step = Rows;
        if (_packs)
        {
            nint size = (pixels * (nint)Rows) + FloatsOfCacheLine;
            float* packed = scratch.Packed.Take<float>((tiles.End - tiles.First) * size);
            PackSixes(values, tiles, pixels, packed, size);
            // Tiles count from the first one of all.
            values = packed - (tiles.First * size);
            row = Rows;
            step = size;
        }

        for (int p = 0; p < pixels && !_byTap; p++)
        {
            pairs[2 * p] = values + (p * row);
            pairs[(2 * p) + 1] = windows.Starts[p];
        }

        for (int band = 0; band < _bands; band++)
        {
            int count = _byTap ? PairsOfTap(band, first, end, windows, values, row, pairs) : pixels;
            nint right = _byTap ? 0 : band * windows.Pitch;
            ComputeBand(tiles.First, tiles.End, count, pairs, 0, step, right, tiles.Output + (band * (nint)_width), ref tiles);
        }
    }

    /// <summary>Writes the rows of values and pixels where the tap lies inside its image.</summary>
    /// <returns>Their number.</returns>
    private int PairsOfTap(int tap, int first, int end, in GemmBlock windows, float* values, nint row, float** pairs)
    {
        (int r, int s) = Math.DivRem(tap, _window.S);
        int step = _window.Step, left = _window.OriginX + s, count = 0;
        int firstColumn = left >= 0 ? 0 : (step - 1 - left) / step;
        int endColumn = _window.W <= left ? 0 : Math.Min(_window.OutW, (_window.W - left + step - 1) / step);
        nint offset = (r * windows.Pitch) + (s * (nint)_window.C);
        for (int pixel = 0, line = first % _window.OutH; first < end; first++, pixel += _window.OutW)
        {
            if ((uint)(_window.OriginY + (line * step) + r) < (uint)_window.H)
            {
                for (int p = pixel + firstColumn; p < pixel + endColumn; p++, count++)
                {
                    pairs[2 * count] = values + (p * row);
                    pairs[(2 * count) + 1] = windows.Starts[p] + offset;
                }
            }

            line = line + 1 == _window.OutH ? 0 : line + 1;
        }

        return count;
    }

    /// <summary>Computes tiles of a band.</summary>
    /// <param name="firstTile">First tile, in the band.</param>
    /// <param name="endTile">One past the last tile.</param>
    /// <param name="count">Rows to reduce over.</param>
    /// <param name="pairs">The rows.</param>
    /// <param name="left">The band's place in a row of the left side.</param>
    /// <param name="step">Floats there from one tile to the next.</param>
    /// <param name="right">The band's place in a row of the right side.</param>
    /// <param name="output">The band's first value of the result.</param>
    /// <param name="tiles">What they all share.</param>
    private void ComputeBand(int firstTile, int endTile, int count, float** pairs, nint left, nint step, nint right, float* output,
        ref Tiles tiles)
    {
        int full = Math.Max(0, Math.Min(endTile, _rowsOfBand / Rows) - firstTile);
        int rest = firstTile + full < endTile ? _rowsOfBand % Rows : 0;
        left += firstTile * step;
        output += firstTile * Rows * (nint)_stride;
        nint restLeft = left + (full * step), restOutput = full * Rows * (nint)_stride;
        int pieces = Math.Max(1, (count + _pixelsOfPiece - 1) / _pixelsOfPiece);
        for (int piece = 0; piece < pieces; piece++)
        {
            int begin = (int)((long)piece * count / pieces), length = (int)((piece + 1L) * count / pieces) - begin;
            var rows = pairs + (2 * (nint)begin);
            bool accumulate = tiles.Accumulate || piece > 0;
            for (int column = 0; column < _width; column += _kernel.PanelWidth)
            {
                ComputeTiles(Rows, full, column, length, rows, left, step, right, output, accumulate, ref tiles);
                ComputeTiles(rest, 1, column, length, rows, restLeft, step, right, output + restOutput, accumulate, ref tiles);
            }
        }
    }

    /// <summary>Computes tiles of the same height below each other, in one panel.</summary>
    [SkipLocalsInit]
    private void ComputeTiles(int height, int count, int column, int length, float** rows, nint left, nint step, nint right, float* output,
        bool accumulate, ref Tiles tiles)
    {
        if (height * count == 0)
            return;
        int width = Math.Min(_kernel.PanelWidth, _width - column), vectors = _kernel.VectorsFor(width);
        byte* ahead = tiles.Ahead.Next(count * (nint)length, rows);
        right += column;
        output += column;
        if (width == vectors * _kernel.Lanes)
        {
            _kernel.Outer(vectors, height, count, length, rows, left, step, right, output, _stride, accumulate, ahead);
            return;
        }

        // Columns that do not fill their registers are computed beside the result.
        const int Pitch = MicroKernel.MaxPanelWidth;
        float* beside = stackalloc float[Rows * Pitch];
        for (int tile = 0; tile < count; tile++, left += step, output += height * (nint)_stride)
        {
            _kernel.Outer(vectors, height, 1, length, rows, left, step, right, beside, Pitch, false, ahead);
            for (int i = 0; i < height; i++)
            {
                float* target = output + (i * (nint)_stride), sums = beside + (i * Pitch);
                for (int j = 0; j < width; j++)
                    target[j] = accumulate ? target[j] + sums[j] : sums[j];
            }
        }
    }

    /// <summary>Packs columns of values by sixes as [tiles, pixels, 6], in one pass over values; none past the last.</summary>
    private void PackSixes(float* values, in Tiles tiles, int pixels, float* packed, nint size)
    {
        int endFull = Math.Min(tiles.End, _columns / Rows), rest = endFull < tiles.End ? _columns % Rows : 0;
        for (int p = 0; p < pixels; p++, values += _columns, packed += Rows)
        {
            float* from = values + (tiles.First * Rows), to = packed;
            for (int tile = tiles.First; tile < endFull; tile++, from += Rows, to += size)
            {
                Vector128.Load(from).Store(to);
                Vector64.Load(from + 4).Store(to + 4);
            }

            for (int i = 0; i < rest; i++)
                to[i] = from[i];
        }
    }

    /// <summary>Adds the partial results of values [first, end) in order of their segments.</summary>
    private void AddSegments(float* result, nint first, nint end, bool accumulate)
    {
        nint size = _height * (nint)_stride, i = first;
        for (; i + Vector<float>.Count <= end; i += Vector<float>.Count)
        {
            var sum = accumulate ? Vector.Load(result + i) : Vector<float>.Zero;
            for (nint segment = 0; segment < _segments; segment++)
                sum += Vector.Load(_output + (segment * size) + i);
            sum.Store(result + i);
        }

        for (; i < end; i++)
        {
            float sum = accumulate ? result[i] : 0;
            for (nint segment = 0; segment < _segments; segment++)
                sum += _output[(segment * size) + i];
            result[i] = sum;
        }
    }

    /// <summary>Adds rows [first, end) of transposed partial results, in order of their segments, to columns of the result.</summary>
    private void AddTransposed(float* result, nint first, nint end, bool accumulate)
    {
        nint size = _height * (nint)_stride;
        for (nint row = first; row < end; row++)
        {
            float* partial = _output + (row * _stride), target = result + row;
            for (nint column = 0; column < _stride; column++, target += _height)
            {
                float sum = accumulate ? *target : 0;
                for (nint segment = 0; segment < _segments; segment++)
                    sum += partial[(segment * size) + column];
                *target = sum;
            }
        }
    }

    /// <summary>The tiles that a work item computes of a block.</summary>
    private struct Tiles(int first, int end, float* output, bool accumulate, GemmAhead ahead)
    {
        public readonly int First = first, End = end;
        public readonly float* Output = output;
        public readonly bool Accumulate = accumulate;
        public GemmAhead Ahead = ahead;
    }
}

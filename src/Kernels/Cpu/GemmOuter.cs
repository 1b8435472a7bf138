using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels;

/// <summary>result (+)= valuesᵀ · windows: filter gradients, and matrix products whose left side is transposed.</summary>
/// <remarks>
/// The sum runs over pixels. It is cut into blocks and, where the result is small, into segments of blocks with partial results
/// that are added in order. Blocks and segments depend on the shape alone; how many tiles of the result one work item takes
/// may depend on the number of threads, since no sum does.
/// A tile is six columns of values, packed, by a panel of a window row, read where it lies. Windows of few channels, whose rows
/// would leave registers empty, are first unrolled to rows of their own.
/// </remarks>
internal sealed unsafe class GemmOuter
{
    private const int PixelsOfBlock = 256;
    private const int ItemsPerThread = 4;

    /// <summary>Floats that all partial results together may take.</summary>
    private const int PartialFloats = 1 << 19;

    private const int MostSegments = 16;

    /// <summary>How much fuller registers must be to pay for unrolling windows.</summary>
    private const double WorthUnrolling = 1.25;

    /// <summary>Multiply-adds under which waking other threads costs more than it saves.</summary>
    private const double SerialWork = 5e5;

    private const int Rows = MicroKernel.Rows;

    private readonly MicroKernel _kernel;
    private readonly GemmWindow _window;
    private readonly float* _source;
    private readonly float* _values;
    private readonly int _columns;
    private readonly bool _unrolls;
    private readonly int _bands;
    private readonly int _width;
    private readonly int _rowTiles;
    private readonly int _linesPerBlock;
    private readonly int _blocks;
    private readonly int _segments;
    private readonly int _groups;
    private readonly float* _output;
    private readonly bool _accumulate;

    private GemmOuter(MicroKernel kernel, in GemmWindow window, float* source, float* values, int columns, float* result, bool accumulate)
    {
        _kernel = kernel;
        _window = window;
        _source = source;
        _values = values;
        _columns = columns;
        _accumulate = accumulate;
        _unrolls = Filled(window.Depth) > WorthUnrolling * Filled(window.Run);
        (_bands, _width) = _unrolls ? (1, window.Depth) : (window.R, window.Run);
        _rowTiles = (columns + Rows - 1) / Rows;
        _linesPerBlock = window.LinesPerBlock(PixelsOfBlock);
        _blocks = (window.Lines + _linesPerBlock - 1) / _linesPerBlock;
        _segments = Math.Clamp(PartialFloats / (columns * window.Depth), 1, Math.Min(MostSegments, _blocks));
        _groups = Math.Clamp(ItemsPerThread * ForkJoinPool.Threads / _segments, 1, _rowTiles);
        _output = _segments == 1 ? result : GemmScratch.Current.Partials.Take<float>(_segments * (long)columns * window.Depth);
    }

    /// <summary>Computes the product.</summary>
    /// <param name="kernel">Does the arithmetic.</param>
    /// <param name="window">The right matrix, one row per pixel.</param>
    /// <param name="source">The images that the windows lie in.</param>
    /// <param name="values">[pixels, columns], the left matrix before transposition.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="result">[columns, depth].</param>
    /// <param name="accumulate">Adds to the result.</param>
    public static void Run(MicroKernel kernel, in GemmWindow window, float* source, float* values, int columns, float* result,
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

        var outer = new GemmOuter(kernel, window, source, values, columns, result, accumulate);
        ForkJoinPool.Run(outer._segments * outer._groups, outer.Compute, count * (double)window.Pixels >= SerialWork);
        if (outer._segments > 1)
            ForkJoinPool.RunRanges(count, 1 << 12, (first, end) => outer.AddSegments(result, (nint)first, (nint)end));
    }

    /// <summary>The part of its registers that a row of floats uses.</summary>
    private double Filled(int width) => (double)width / (_kernel.VectorsFor(width) * _kernel.Lanes);

    private void Compute(int item)
    {
        int segment = item / _groups, group = item % _groups;
        int firstTile = group * _rowTiles / _groups, endTile = (group + 1) * _rowTiles / _groups;
        int firstBlock = segment * _blocks / _segments, endBlock = (segment + 1) * _blocks / _segments;
        float* output = _output + (segment * (nint)_columns * _window.Depth);
        var scratch = GemmScratch.Current;
        for (int block = firstBlock; block < endBlock; block++)
        {
            int first = block * _linesPerBlock, end = Math.Min(_window.Lines, first + _linesPerBlock);
            ComputeBlock(first, end, firstTile, endTile, output, block > firstBlock || (_accumulate && _segments == 1), scratch);
        }
    }

    private void ComputeBlock(int first, int end, int firstTile, int endTile, float* output, bool accumulate, GemmScratch scratch)
    {
        // A panel that sticks out of its row, or unrolling, reads past the last row: then the images are copied, with room to spare.
        var windows = GemmBlock.Create(_window, _source, first, end, _window.IsClipped || _unrolls || _width % _kernel.Lanes != 0, scratch);
        int pixels = windows.Pixels;
        int* offsets = scratch.Offsets.Take<int>(pixels);
        float* right = _unrolls ? Unroll(windows, offsets, scratch) : windows.Starts[0];
        for (int p = 0; p < pixels && !_unrolls; p++)
            offsets[p] = checked((int)(windows.Starts[p] - right));

        float* values = _values + (first * (nint)_window.OutW * _columns);
        nint size = pixels * (nint)Rows;
        float* packed = scratch.Packed.Take<float>((endTile - firstTile) * size);
        PackSixes(values, firstTile, endTile, pixels, packed);

        for (int band = 0; band < _bands; band++)
        {
            for (int column = 0; column < _width; column += _kernel.PanelWidth)
            {
                float* panel = right + (band * windows.Pitch) + column, target = output + (band * (nint)_width) + column;
                int columns = Math.Min(_kernel.PanelWidth, _width - column);
                for (int tile = firstTile; tile < endTile; tile++)
                    ComputeTile(tile * Rows, columns, pixels, packed + ((tile - firstTile) * size), panel, offsets, target, accumulate);
            }
        }
    }

    [SkipLocalsInit]
    private void ComputeTile(int row, int columns, int pixels, float* left, float* right, int* offsets, float* target, bool accumulate)
    {
        int vectors = _kernel.VectorsFor(columns), rows = Math.Min(Rows, _columns - row);
        nint stride = _window.Depth;
        target += row * stride;
        float* beside = stackalloc float[Rows * MicroKernel.MaxPanelWidth];
        float** outputs = stackalloc float*[Rows];
        bool isTail = columns < vectors * _kernel.Lanes;
        for (int i = 0; i < Rows; i++)
            outputs[i] = isTail || i >= rows ? beside + (i * MicroKernel.MaxPanelWidth) : target + (i * stride);
        for (int i = 0; i < rows && !isTail; i++)
            Prefetch(outputs[i], columns);
        _kernel.Outer(vectors, pixels, left, right, offsets, outputs, accumulate && !isTail);
        for (int i = 0; isTail && i < rows; i++, target += stride)
        {
            for (int j = 0; j < columns; j++)
                target[j] = accumulate ? target[j] + outputs[i][j] : outputs[i][j];
        }
    }

    /// <summary>Asks for a row of the result, which is needed when its sums are done and may lie far away by then.</summary>
    private static void Prefetch(float* row, int columns)
    {
        const int FloatsOfCacheLine = 16;
        for (int j = 0; Sse.IsSupported && j < columns; j += FloatsOfCacheLine)
            Sse.Prefetch0(row + j);
    }

    /// <summary>Copies each window to a row of its own, as wide as whole registers, and writes the rows' offsets.</summary>
    private float* Unroll(in GemmBlock windows, int* offsets, GemmScratch scratch)
    {
        const int Step = 4;
        int stride = _kernel.VectorsFor(_width) * _kernel.Lanes;
        float* rows = scratch.Staging.Take<float>((windows.Pixels * (long)stride) + Step), row = rows;
        for (int p = 0; p < windows.Pixels; p++, row += stride)
        {
            float* from = windows.Starts[p], to = row;
            for (int band = 0; band < _window.R; band++, from += windows.Pitch, to += _window.Run)
            {
                // What a copy writes past the end, the next one overwrites.
                for (int i = 0; i < _window.Run; i += Step)
                    Vector128.Load(from + i).Store(to + i);
            }

            new Span<float>(to, stride - _width).Clear();
            offsets[p] = p * stride;
        }

        return rows;
    }

    /// <summary>Packs columns of values by sixes as [tiles, pixels, 6], zero past the last one, in one pass over values.</summary>
    private void PackSixes(float* values, int firstTile, int endTile, int pixels, float* packed)
    {
        nint size = pixels * (nint)Rows;
        int endFull = Math.Min(endTile, _columns / Rows);
        for (int p = 0; p < pixels; p++, values += _columns, packed += Rows)
        {
            float* from = values + (firstTile * Rows), to = packed;
            for (int tile = firstTile; tile < endFull; tile++, from += Rows, to += size)
            {
                Vector128.Load(from).Store(to);
                Vector64.Load(from + 4).Store(to + 4);
            }

            for (int i = 0; endFull < endTile && i < Rows; i++)
                to[i] = (endFull * Rows) + i < _columns ? from[i] : 0;
        }
    }

    /// <summary>Adds the partial results of values [first, end) in order of their segments.</summary>
    private void AddSegments(float* result, nint first, nint end)
    {
        nint size = _columns * (nint)_window.Depth, i = first;
        for (; i + Vector<float>.Count <= end; i += Vector<float>.Count)
        {
            var sum = _accumulate ? Vector.Load(result + i) : Vector<float>.Zero;
            for (nint segment = 0; segment < _segments; segment++)
                sum += Vector.Load(_output + (segment * size) + i);
            sum.Store(result + i);
        }

        for (; i < end; i++)
        {
            float sum = _accumulate ? result[i] : 0;
            for (nint segment = 0; segment < _segments; segment++)
                sum += _output[(segment * size) + i];
            result[i] = sum;
        }
    }
}

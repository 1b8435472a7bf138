namespace Diffusion.Gpu.Kernels;

/// <summary>result [columns, depth] (+)= valuesᵀ · windows: filter gradients, and matrix products whose left side is transposed.</summary>
/// <remarks>
/// The sum runs over pixels. It is cut into blocks that stay in the second-level cache and, where the result is small, into
/// segments of blocks with partial results that are added in order. Blocks and segments depend on the shape alone; how many tiles of
/// the result one work item takes may depend on the number of threads, since no sum does.
/// A tile is six columns of values by a panel of a window row or, where that fills the registers better (few channels), six floats of
/// a window row by a panel of columns; then the partial results are transposed.
/// </remarks>
internal sealed unsafe class GemmOuter
{
    internal static int PixelsOfBlock = 256;
    internal static int ItemsPerThread = 4;

    /// <summary>Floats that all partial results together may take.</summary>
    private const int PartialFloats = 1 << 19;

    private const int MostSegments = 16;
    private const double SerialWork = 5e5;
    private const int Rows = MicroKernel.Rows;

    private readonly MicroKernel _kernel;
    private readonly GemmWindow _window;
    private readonly float* _source;
    private readonly float* _values;
    private readonly int _columns;
    private readonly int _linesPerBlock;
    private readonly int _blocks;
    private readonly int _segments;

    // The result as a grid of tiles: rows are broadcast, columns fill registers, and bands (the rows of a window) repeat the grid along
    // the depth.
    private readonly bool _windowsAreRows;
    private readonly int _rows;
    private readonly int _width;
    private readonly int _panels;
    private readonly int _groups;

    private readonly float* _output;
    private readonly nint _outputStride;
    private readonly bool _accumulate;

    private GemmOuter(MicroKernel kernel, in GemmWindow window, float* source, float* values, int columns, float* result, bool accumulate)
    {
        _kernel = kernel;
        _window = window;
        _source = source;
        _values = values;
        _columns = columns;
        _linesPerBlock = window.LinesPerBlock(PixelsOfBlock);
        _blocks = (window.Lines + _linesPerBlock - 1) / _linesPerBlock;
        _segments = Math.Clamp(PartialFloats / (columns * window.Depth), 1, Math.Min(MostSegments, _blocks));
        _windowsAreRows = Filled(window.Run, columns) > Filled(columns, window.Run);
        (_rows, _width) = _windowsAreRows ? (window.Run, columns) : (columns, window.Run);
        _panels = (_width + kernel.PanelWidth - 1) / kernel.PanelWidth;
        _groups = Math.Clamp(ItemsPerThread * ForkJoinPool.Threads / _segments, 1, window.R * _panels * RowTiles);
        _outputStride = _windowsAreRows ? columns : window.Depth;
        _accumulate = accumulate;
        HasPartials = _segments > 1 || _windowsAreRows;
        _output = HasPartials ? GemmScratch.Current.Partials.Take<float>(_segments * (long)columns * window.Depth) : result;
    }

    private bool HasPartials { get; }

    private int RowTiles => (_rows + Rows - 1) / Rows;

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
        long count = columns * (long)window.Depth;
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
        if (outer.HasPartials)
            ForkJoinPool.RunRanges(columns, Math.Max(1, (1 << 14) / window.Depth), (first, end) => outer.Reduce((int)first, (int)end, result));
    }

    /// <summary>The part of its registers that a grid of tiles uses, less where a tile has too few sums to hide their latency.</summary>
    private double Filled(int rows, int width)
    {
        double used = (double)rows / ((rows + Rows - 1) / Rows * Rows) * width / (_kernel.VectorsFor(width) * _kernel.Lanes);
        return width <= _kernel.Lanes ? used * 0.6 : used;
    }

    private void Compute(int item)
    {
        int segment = item / _groups, group = item % _groups;
        int tiles = _window.R * _panels * RowTiles;
        int firstTile = (int)((long)group * tiles / _groups), endTile = (int)(((long)group + 1) * tiles / _groups);
        var scratch = GemmScratch.Current;
        float* output = _output + (segment * (nint)_columns * _window.Depth);
        int firstBlock = segment * _blocks / _segments, endBlock = (segment + 1) * _blocks / _segments;
        for (int block = firstBlock; block < endBlock; block++)
        {
            int first = block * _linesPerBlock, end = Math.Min(_window.Lines, first + _linesPerBlock);
            var operands = Operands(first, end, scratch);
            bool accumulate = block > firstBlock || (_accumulate && !HasPartials);
            for (int tile = firstTile; tile < endTile; tile++)
                ComputeTile(tile, operands, output, accumulate);
        }
    }

    /// <summary>Points at both operands of a block, copying the one whose tiles would read past its end.</summary>
    private OuterOperands Operands(int first, int end, GemmScratch scratch)
    {
        bool copyWindows = _window.IsClipped || (_windowsAreRows ? _rows < Rows : _width % _kernel.Lanes != 0);
        bool copyValues = _windowsAreRows ? _width % _kernel.Lanes != 0 : _rows < Rows;
        var windows = GemmBlock.Create(_window, _source, first, end, copyWindows, scratch);
        int pixels = windows.Pixels;
        float* values = _values + (first * (nint)_window.OutW * _columns);
        int stride = _columns;
        if (copyValues)
        {
            stride = Math.Max(Rows, _kernel.VectorsFor(_columns) * _kernel.Lanes);
            float* staged = scratch.Staging.Take<float>(pixels * (long)stride);
            for (int p = 0; p < pixels; p++)
            {
                var row = new Span<float>(staged + (p * (nint)stride), stride);
                new Span<float>(values + (p * (nint)_columns), _columns).CopyTo(row);
                row[_columns..].Clear();
            }

            values = staged;
        }

        int* offsets = scratch.Offsets.Take<int>(2L * pixels);
        float* origin = windows.Starts[0];
        for (int p = 0; p < pixels; p++)
        {
            offsets[p] = checked((int)(windows.Starts[p] - origin));
            offsets[pixels + p] = p * stride;
        }

        return _windowsAreRows
            ? new OuterOperands(pixels, origin, offsets, windows.Pitch, values, offsets + pixels, 0)
            : new OuterOperands(pixels, values, offsets + pixels, 0, origin, offsets, windows.Pitch);
    }

    private void ComputeTile(int tile, in OuterOperands operands, float* output, bool accumulate)
    {
        // Row tiles run fastest: the panel that all of them read stays close.
        (int bandAndPanel, int rowTile) = Math.DivRem(tile, RowTiles);
        (int band, int panel) = Math.DivRem(bandAndPanel, _panels);
        int row = rowTile * Rows, column = panel * _kernel.PanelWidth, columns = Math.Min(_kernel.PanelWidth, _width - column);
        int vectors = _kernel.VectorsFor(columns), width = vectors * _kernel.Lanes;
        // The last row tile moves back to end with the matrix; the rows that it shares with its neighbour are dropped.
        int shared = Math.Min(row, Math.Max(0, row + Rows - _rows)), rows = Math.Min(Rows - shared, _rows - row);
        nint bandOffset = band * (nint)_window.Run;
        float* target = _windowsAreRows
            ? output + ((bandOffset + row) * _outputStride) + column
            : output + (row * _outputStride) + bandOffset + column;

        float* beside = stackalloc float[Rows * MicroKernel.MaxPanelWidth];
        float** outputs = stackalloc float*[Rows];
        bool isTail = columns < width;
        for (int i = 0; i < Rows; i++)
        {
            bool isOutput = !isTail && i >= shared && i < shared + rows;
            outputs[i] = isOutput ? target + ((i - shared) * _outputStride) : beside + (i * MicroKernel.MaxPanelWidth);
        }

        _kernel.Outer(vectors, operands.Count, operands.A + (band * operands.PitchA) + row - shared, operands.OffsetsA,
            operands.B + (band * operands.PitchB) + column, operands.OffsetsB, outputs, accumulate && !isTail);
        for (int i = 0; isTail && i < rows; i++)
        {
            float* sums = outputs[shared + i], to = target + (i * _outputStride);
            for (int j = 0; j < columns; j++)
                to[j] = accumulate ? to[j] + sums[j] : sums[j];
        }
    }

    /// <summary>Adds the partial results of rows [first, end) in order of their segments.</summary>
    private void Reduce(int first, int end, float* result)
    {
        nint depth = _window.Depth, size = _columns * depth;
        nint rowStep = _windowsAreRows ? 1 : depth, step = _windowsAreRows ? _columns : 1;
        for (nint row = first; row < end; row++)
        {
            float* to = result + (row * depth), from = _output + (row * rowStep);
            for (nint d = 0; d < depth; d++, from += step)
            {
                float sum = _accumulate ? to[d] : 0;
                for (nint segment = 0; segment < _segments; segment++)
                    sum += from[segment * size];
                to[d] = sum;
            }
        }
    }

    /// <summary>Both operands of a block as the micro-kernel reads them.</summary>
    private readonly ref struct OuterOperands(int count, float* a, int* offsetsA, nint pitchA, float* b, int* offsetsB, nint pitchB)
    {
        public int Count => count;

        public float* A { get; } = a;

        public int* OffsetsA { get; } = offsetsA;

        public nint PitchA => pitchA;

        public float* B { get; } = b;

        public int* OffsetsB { get; } = offsetsB;

        public nint PitchB => pitchB;
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>A matrix [depth, columns] cut into panels that fit the widest tile, each stored depth-major.</summary>
/// <remarks>The last panel is as many registers wide as it needs; its missing columns are zero.</remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    private const int ParallelFloats = 1 << 15;

    private readonly AlignedBuffer _memory = new();
    private float* _panels;

    /// <summary>The micro-kernels that the panels are cut for.</summary>
    public MicroKernel Kernel { get; private set; } = MicroKernel.Widest;

    /// <summary>Rows of the matrix.</summary>
    public int Depth { get; private set; }

    /// <summary>Columns of the matrix.</summary>
    public int Columns { get; private set; }

    /// <summary>Number of panels.</summary>
    public int Panels => (Columns + Kernel.PanelWidth - 1) / Kernel.PanelWidth;

    /// <summary>The panel with the given number.</summary>
    public float* Panel(int panel) => _panels + ((long)panel * Depth * Kernel.PanelWidth);

    /// <summary>Columns of the matrix inside a panel.</summary>
    public int ColumnsOf(int panel) => Math.Min(Kernel.PanelWidth, Columns - (panel * Kernel.PanelWidth));

    /// <summary>Registers that a row of a panel takes.</summary>
    public int VectorsOf(int panel) => Kernel.VectorsFor(ColumnsOf(panel));

    /// <summary>Packs a matrix whose columns are contiguous: value (d, j) lies at source[j · stride + d].</summary>
    /// <param name="kernel">The micro-kernels to cut for.</param>
    /// <param name="source">The matrix; filters [K, R, S, C] with one column per output channel, linear weights [K, C].</param>
    /// <param name="stride">Floats from one column to the next.</param>
    /// <param name="depth">Rows.</param>
    /// <param name="columns">Columns.</param>
    public void PackTransposed(MicroKernel kernel, float* source, nint stride, int depth, int columns)
    {
        Reserve(kernel, depth, columns);
        ForkJoinPool.Run(Panels, panel => PackPanelTransposed(panel, source, stride), IsParallel);
    }

    /// <summary>Packs a matrix whose rows are contiguous in groups: row d lies at source + rowOffset(d).</summary>
    /// <param name="kernel">The micro-kernels to cut for.</param>
    /// <param name="source">The matrix.</param>
    /// <param name="rowOffset">Floats from the source to the start of a row.</param>
    /// <param name="depth">Rows.</param>
    /// <param name="columns">Columns.</param>
    public void PackRows(MicroKernel kernel, float* source, Func<int, nint> rowOffset, int depth, int columns)
    {
        Reserve(kernel, depth, columns);
        ForkJoinPool.Run(Panels, panel => PackPanelRows(panel, source, rowOffset), IsParallel);
    }

    public void Dispose() => _memory.Dispose();

    private bool IsParallel => (long)Depth * Columns >= ParallelFloats;

    private void Reserve(MicroKernel kernel, int depth, int columns)
    {
        Kernel = kernel;
        Depth = depth;
        Columns = columns;
        _panels = _memory.Take<float>((long)Panels * kernel.PanelWidth * depth);
    }

    private void PackPanelRows(int panel, float* source, Func<int, nint> rowOffset)
    {
        int columns = ColumnsOf(panel), width = VectorsOf(panel) * Kernel.Lanes;
        float* target = Panel(panel);
        for (int d = 0; d < Depth; d++, target += width)
        {
            new Span<float>(source + rowOffset(d) + (panel * Kernel.PanelWidth), columns).CopyTo(new Span<float>(target, columns));
            new Span<float>(target + columns, width - columns).Clear();
        }
    }

    private void PackPanelTransposed(int panel, float* source, nint stride)
    {
        // Strips of four columns keep four read streams and write whole quarters of a cache line.
        int columns = ColumnsOf(panel), width = VectorsOf(panel) * Kernel.Lanes;
        float* target = Panel(panel);
        source += panel * Kernel.PanelWidth * stride;
        int j = 0;
        for (; j + 4 <= columns; j += 4)
        {
            float* s0 = source + (j * stride), s1 = s0 + stride, s2 = s1 + stride, s3 = s2 + stride, t = target + j;
            for (nint d = 0; d < Depth; d++, t += width)
            {
                t[0] = s0[d];
                t[1] = s1[d];
                t[2] = s2[d];
                t[3] = s3[d];
            }
        }

        for (; j < width; j++)
        {
            float* s = source + (j * stride), t = target + j;
            for (nint d = 0; d < Depth; d++, t += width)
            {
                *t = j < columns ? s[d] : 0;
            }
        }
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>Cuts the rows of each sample into blocks, one work item each; the cut depends on the shape of one sample alone.</summary>
internal readonly struct RowBlocks
{
    /// <summary>Values of a block: fits the second-level cache, takes some ten microseconds.</summary>
    private const int BlockValues = 1 << 14;

    /// <summary>Rows of a block at most, so that sums over a block's rows stay short.</summary>
    private const int BlockRows = 256;

    private readonly RowShape _shape;
    private readonly int _rows;

    public RowBlocks(in RowShape shape)
    {
        _shape = shape;
        _rows = Math.Clamp(BlockValues / shape.C, 1, Math.Min(shape.P, BlockRows));
        PerSample = (shape.P + _rows - 1) / _rows;
    }

    /// <summary>Blocks of a sample.</summary>
    public int PerSample { get; }

    /// <summary>Blocks of the batch.</summary>
    public int Count => _shape.N * PerSample;

    /// <summary>Whether there is enough work to wake other threads.</summary>
    public bool Parallel => (long)_shape.Rows * _shape.C > 2 * BlockValues;

    /// <summary>The rows of a block, counted over the whole batch.</summary>
    public (int Sample, int First, int End) Rows(int block)
    {
        int sample = block / PerSample, first = block % PerSample * _rows;
        return (sample, (sample * _shape.P) + first, (sample * _shape.P) + Math.Min(first + _rows, _shape.P));
    }

    /// <summary>Runs a body for every block: its number, its sample, its first row and the one past its last.</summary>
    public void Run(Action<int, int, int, int> body)
    {
        var self = this;
        ForkJoinPool.Run(Count, block =>
        {
            var (sample, first, end) = self.Rows(block);
            body(block, sample, first, end);
        }, Parallel);
    }
}

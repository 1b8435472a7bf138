namespace Diffusion.Gpu.Kernels;

/// <summary>Two sums per channel, Σ dz and Σ dz · x, over each block of rows, then over each sample: in the order of the blocks.</summary>
internal readonly unsafe struct ChannelSums
{
    private readonly RowBlocks _blocks;
    private readonly RowShape _shape;
    private readonly int _padded;
    private readonly float* _sums;

    public ChannelSums(in RowBlocks blocks, in RowShape shape)
    {
        _blocks = blocks;
        _shape = shape;
        _padded = Simd.Padded(shape.C);
        _sums = Scratch.ForOp<float>(2L * blocks.Count * _padded);
    }

    /// <summary>A block's sums, set to zero: whole lanes, so that a row's end needs no care.</summary>
    public (PaddedRow Plain, PaddedRow Weighted) OfBlock(int block)
    {
        float* sums = _sums + (2L * block * _padded);
        new Span<float>(sums, 2 * _padded).Clear();
        return (new PaddedRow(sums), new PaddedRow(sums + _padded));
    }

    /// <summary>A sample's sums, once <see cref="AddBlocks"/> has run.</summary>
    public (PaddedRow Plain, PaddedRow Weighted) OfSample(int sample)
    {
        float* sums = _sums + (2L * sample * _blocks.PerSample * _padded);
        return (new PaddedRow(sums), new PaddedRow(sums + _padded));
    }

    /// <summary>Adds the blocks of each sample into its first.</summary>
    public void AddBlocks()
    {
        for (int sample = 0; sample < _shape.N; sample++)
        {
            float* total = _sums + (2L * sample * _blocks.PerSample * _padded);
            for (int block = 1; block < _blocks.PerSample; block++)
                for (int c = 0; c < 2 * _padded; c++)
                    total[c] += total[(2L * block * _padded) + c];
        }
    }

    /// <summary>Writes the gradient of a scale-shift [N,2C]: Σ dz · x · gain, then Σ dz.</summary>
    /// <param name="gain">[C], or null for 1.</param>
    /// <param name="target">[N,2C].</param>
    public void StoreScaleShift(float* gain, GradientTarget target)
    {
        for (int sample = 0; sample < _shape.N; sample++)
        {
            var (plain, weighted) = OfSample(sample);
            float* d = CpuBackend.Pointer(target.Tensor!) + (2L * sample * _shape.C);
            for (int c = 0; c < _shape.C; c++)
            {
                float scale = gain is null ? weighted[c] : weighted[c] * gain[c];
                d[c] = target.Accumulate ? d[c] + scale : scale;
                d[_shape.C + c] = target.Accumulate ? d[_shape.C + c] + plain[c] : plain[c];
            }
        }
    }

    /// <summary>A pointer, which a tuple cannot hold bare.</summary>
    internal readonly struct PaddedRow(float* first)
    {
        private readonly float* _first = first;

        public float this[int c] => _first[c];

        public static implicit operator float*(PaddedRow row) => row._first;
    }
}

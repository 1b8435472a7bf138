namespace Diffusion.Gpu.Kernels;

/// <summary>A block of keys and values: rows Stride apart.</summary>
internal readonly unsafe struct KeyRange(float* key, float* value, long stride, int count)
{
    public float* Key { get; } = key;

    public float* Value { get; } = value;

    public long Stride { get; } = stride;

    public int Count { get; } = count;
}

/// <summary>Where queries, keys and values of a head lie; the memory slots are the first block of keys.</summary>
internal readonly unsafe struct AttentionHeads(in AttentionShape shape, float* qkv, float* memory)
{
    /// <summary>Keys of a block: scores of a block stay in the first-level cache.</summary>
    public const int KeyBlock = 64;

    private readonly AttentionShape _shape = shape;
    private readonly float* _memory = memory;

    public float* Qkv { get; } = qkv;

    /// <summary>Distance of two tokens.</summary>
    public long Stride => 3L * _shape.Width;

    /// <summary>The memory and the blocks of tokens.</summary>
    public int KeyBlocks => 1 + ((_shape.T + KeyBlock - 1) / KeyBlock);

    /// <summary>Keys of the largest block.</summary>
    public int LargestKeyBlock => Math.Max(KeyBlock, _shape.M);

    /// <summary>The query of a token, Stride before the next token's.</summary>
    public float* Queries(int sample, int head, int token) => Qkv + ((((long)sample * _shape.T) + token) * Stride) + (head * _shape.D);

    public KeyRange Keys(int sample, int head, int block)
    {
        if (block == 0)
            return new KeyRange(_memory + ((long)head * _shape.M * _shape.D), _memory + ((long)(_shape.Heads + head) * _shape.M * _shape.D),
                _shape.D, _shape.M);
        int first = (block - 1) * KeyBlock;
        float* key = Queries(sample, head, first) + _shape.Width;
        return new KeyRange(key, key + _shape.Width, Stride, Math.Min(KeyBlock, _shape.T - first));
    }
}

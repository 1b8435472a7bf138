using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>Blocks of tokens in cache: [head,token,channel], channels padded with zeros to whole lanes.</summary>
/// <param name="shape">Sizes.</param>
/// <param name="tokens">Room for tokens in a block.</param>
internal readonly unsafe struct HeadBlocks(in AttentionShape shape, int tokens)
{
    private readonly int _heads = shape.Heads;
    private readonly int _d = shape.D;
    private readonly int _slots = shape.M;
    private readonly int _padded = Simd.Padded(shape.D);
    private readonly float _queryScale = shape.QueryScale;

    /// <summary>Floats of a block of one head.</summary>
    public int HeadRoom { get; } = tokens * Simd.Padded(shape.D);

    /// <summary>Floats of a block of all heads.</summary>
    public int Room => _heads * HeadRoom;

    /// <summary>Copies tokens [token,head,D] into a block, in the order in which they lie in memory.</summary>
    /// <param name="x">The first token.</param>
    /// <param name="row">Distance of two tokens.</param>
    public void Pack(float* x, long row, int count, float* block)
    {
        for (int i = 0; i < count; i++)
            for (int head = 0; head < _heads; head++)
                for (int c = 0; c < _d; c += Simd.Width)
                    Simd.Load(x + (i * row) + (head * _d) + c, _d - c).Store(block + (head * HeadRoom) + (i * _padded) + c);
    }

    /// <summary>The way back.</summary>
    public void Unpack(float* block, int count, float* x, long row, bool accumulate)
    {
        for (int i = 0; i < count; i++)
            for (int head = 0; head < _heads; head++)
                for (int c = 0; c < _d; c += Simd.Width)
                    Simd.Store(Vector512.Load(block + (head * HeadRoom) + (i * _padded) + c), x + (i * row) + (head * _d) + c, _d - c,
                        accumulate);
    }

    /// <summary>Copies memory slots [D,M] of one head into a head's block.</summary>
    /// <param name="memory">[2,Heads,D,M].</param>
    /// <param name="side">0 for keys, 1 for values.</param>
    public void PackSlots(float* memory, int side, int head, int first, int count, float* block)
    {
        float* slots = memory + ((((long)side * _heads) + head) * _d * _slots) + first;
        new Span<float>(block, count * _padded).Clear();
        for (int i = 0; i < count; i++)
            for (int c = 0; c < _d; c++)
                block[(i * _padded) + c] = slots[(c * _slots) + i];
    }

    /// <summary>Copies a head's block into slots [D,M].</summary>
    public void StoreSlots(float* block, int count, float* slots)
    {
        for (int i = 0; i < count; i++)
            for (int c = 0; c < _d; c++)
                slots[(c * _slots) + i] = block[(i * _padded) + c];
    }

    /// <summary>Pads the rows of [Heads,D,D].</summary>
    public void PackSquares(float* squares, float* padded)
    {
        for (int row = 0; row < _heads * _d; row++)
            for (int c = 0; c < _d; c += Simd.Width)
                Simd.Load(squares + (row * _d) + c, _d - c).Store(padded + (row * _padded) + c);
    }

    /// <summary>Transposes and pads the squares of [Heads,D,D].</summary>
    public void PackTransposed(float* squares, float* padded)
    {
        new Span<float>(padded, _heads * _d * _padded).Clear();
        for (int head = 0; head < _heads; head++, squares += _d * _d, padded += _d * _padded)
            for (int i = 0; i < _d; i++)
                for (int j = 0; j < _d; j++)
                    padded[(j * _padded) + i] = squares[(i * _d) + j];
    }

    /// <summary>Queries of a head's block become softmax(q) · D^-½.</summary>
    public void Softmax(float* block, int count)
    {
        for (int i = 0; i < count; i++, block += _padded)
        {
            var largest = Simd.Splat(float.NegativeInfinity);
            for (int c = 0; c < _d; c += Simd.Width)
                largest = Vector512.MaxNative(largest, Simd.Keep(Vector512.Load(block + c), _d - c, float.NegativeInfinity));
            largest = Simd.Splat(Simd.Largest(largest));
            var sum = Lanes.Zero;
            for (int c = 0; c < _d; c += Simd.Width)
            {
                var e = Simd.Keep(Simd.Exp(Vector512.Load(block + c) - largest), _d - c, 0);
                sum += e;
                e.Store(block + c);
            }
            var factor = Simd.Splat(_queryScale / Simd.Sum(sum));
            for (int c = 0; c < _d; c += Simd.Width)
                (Vector512.Load(block + c) * factor).Store(block + c);
        }
    }

    /// <summary>The gradient of a head's queries from that of <see cref="Softmax"/>'s result, in place.</summary>
    /// <param name="results">What Softmax gave.</param>
    /// <param name="gradients">Their gradients.</param>
    public void SoftmaxGradient(float* results, float* gradients, int count)
    {
        for (int i = 0; i < count; i++, results += _padded, gradients += _padded)
        {
            var dot = Lanes.Zero;
            for (int c = 0; c < _padded; c += Simd.Width)
                dot = Simd.MultiplyAdd(Vector512.Load(results + c), Vector512.Load(gradients + c), dot);
            var along = Simd.Splat(Simd.Sum(dot) / _queryScale);
            for (int c = 0; c < _padded; c += Simd.Width)
                (Vector512.Load(results + c) * (Vector512.Load(gradients + c) - along)).Store(gradients + c);
        }
    }
}

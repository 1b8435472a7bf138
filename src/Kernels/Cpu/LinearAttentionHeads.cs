using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>The steps of linear attention for all heads of one chunk of tokens.</summary>
/// <remarks>Tokens are read and written row by row, as they lie in memory, into blocks [head,token,channel] that stay in cache; channels
/// are padded with zeros to whole lanes.</remarks>
internal readonly unsafe struct LinearAttentionHeads
{
    /// <summary>Tokens of a work item.</summary>
    private const int TokenChunk = 256;

    /// <summary>Tokens handled together in cache.</summary>
    private const int Block = 64;

    private readonly AttentionShape _shape;
    private readonly HeadBlocks _blocks;
    private readonly float* _qkv;
    private readonly float* _memory;
    private readonly int _d;
    private readonly int _padded;

    public LinearAttentionHeads(in AttentionShape shape, float* qkv, float* memory)
    {
        _shape = shape;
        _blocks = new HeadBlocks(shape, Block);
        _qkv = qkv;
        _memory = memory;
        _d = shape.D;
        _padded = Simd.Padded(shape.D);
    }

    /// <summary>Chunks of a sample.</summary>
    public int Chunks => (_shape.T + TokenChunk - 1) / TokenChunk;

    private long Stride => 3L * _shape.Width;

    /// <summary>
    /// For every head Σ e^(k − max) vᵀ [D,padded] of a chunk, then the maxima and the sums of its exponentials; the memory belongs to the
    /// first chunk.
    /// </summary>
    /// <param name="summaries">Of the chunk's first head.</param>
    /// <param name="step">Distance of two heads' summaries.</param>
    public void Summarise(int sample, int chunk, float* summaries, long step)
    {
        float* keys = Scratch.ForItem((2L * _blocks.Room) + _blocks.HeadRoom);
        float* values = keys + _blocks.Room, weights = values + _blocks.Room;
        for (int head = 0; head < _shape.Heads; head++)
        {
            float* summary = summaries + (head * step);
            new Span<float>(summary, (_d + 2) * _padded).Clear();
            new Span<float>(summary + (_d * _padded), _padded).Fill(float.NegativeInfinity);
            for (int first = 0; chunk == 0 && first < _shape.M; first += Block)
            {
                int count = Math.Min(Block, _shape.M - first);
                _blocks.PackSlots(_memory, 0, head, first, count, keys);
                _blocks.PackSlots(_memory, 1, head, first, count, values);
                Gather(keys, values, count, weights, summary);
            }
        }
        for (int first = chunk * TokenChunk, end = End(chunk); first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            _blocks.Pack(Token(_qkv, sample, first) + _shape.Width, Stride, count, keys);
            _blocks.Pack(Token(_qkv, sample, first) + (2 * _shape.Width), Stride, count, values);
            for (int head = 0; head < _shape.Heads; head++)
                Gather(keys + (head * _blocks.HeadRoom), values + (head * _blocks.HeadRoom), count, weights, summaries + (head * step));
        }
    }

    /// <summary>Joins a head's chunks: the maxima and sums of all keys, and the context, divided by the sums.</summary>
    public void Join(float* summaries, float* statistics, float* context)
    {
        int size = (_d + 2) * _padded, chunks = Chunks;
        float* shares = Scratch.ForItem(chunks);
        for (int row = 0; row < _d; row++)
        {
            float* largestOf = summaries + (_d * _padded) + row, sumOf = largestOf + _padded;
            float largest = float.NegativeInfinity;
            for (int chunk = 0; chunk < chunks; chunk++)
                largest = MathF.Max(largest, largestOf[(long)chunk * size]);
            float sum = 0;
            for (int chunk = 0; chunk < chunks; chunk++)
                sum += sumOf[(long)chunk * size] * (shares[chunk] = MathF.Exp(largestOf[(long)chunk * size] - largest));
            statistics[row] = largest;
            statistics[_d + row] = sum;
            for (int column = 0; column < _d; column += Simd.Width)
            {
                var total = Lanes.Zero;
                for (int chunk = 0; chunk < chunks; chunk++)
                    total = Simd.MultiplyAdd(Simd.Splat(shares[chunk]),
                        Vector512.Load(summaries + ((long)chunk * size) + (row * _padded) + column), total);
                Simd.Store(total / Simd.Splat(sum), context + (row * _d) + column, _d - column);
            }
        }
    }

    /// <summary>y = softmax(q) · D^-½ · context for a chunk.</summary>
    /// <param name="contexts">[Heads,D,D] of the sample.</param>
    public void Read(int sample, int chunk, float* contexts, float* y)
    {
        float* q = Scratch.ForItem((2L * _blocks.Room) + (_shape.Heads * _d * _padded));
        float* rows = q + _blocks.Room, squares = rows + _blocks.Room;
        _blocks.PackSquares(contexts, squares);
        for (int first = chunk * TokenChunk, end = End(chunk); first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            _blocks.Pack(Token(_qkv, sample, first), Stride, count, q);
            for (int head = 0; head < _shape.Heads; head++)
            {
                int at = head * _blocks.HeadRoom;
                _blocks.Softmax(q + at, count);
                SmallProduct.Run(q + at, _padded, 1, squares + (head * _d * _padded), _padded, rows + at, _padded, count, _padded, _d,
                    false);
            }
            _blocks.Unpack(rows, count, y + ((((long)sample * _shape.T) + first) * _shape.Width), _shape.Width, accumulate: false);
        }
    }

    /// <summary>For every head Σ q dyᵀ [D,padded] of a chunk, and the gradient of its queries.</summary>
    /// <param name="contexts">[Heads,D,D] of the sample.</param>
    /// <param name="sums">Of the chunk's first head.</param>
    /// <param name="step">Distance of two heads' sums.</param>
    public void ReadGradient(int sample, int chunk, float* contexts, float* dy, float* sums, long step, GradientTarget dQkv)
    {
        float* q = Scratch.ForItem((3L * _blocks.Room) + (_shape.Heads * _d * _padded));
        float* upstream = q + _blocks.Room, dq = upstream + _blocks.Room, squares = dq + _blocks.Room;
        _blocks.PackTransposed(contexts, squares);
        for (int head = 0; head < _shape.Heads; head++)
            new Span<float>(sums + (head * step), _d * _padded).Clear();
        for (int first = chunk * TokenChunk, end = End(chunk); first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            _blocks.Pack(Token(_qkv, sample, first), Stride, count, q);
            _blocks.Pack(dy + ((((long)sample * _shape.T) + first) * _shape.Width), _shape.Width, count, upstream);
            for (int head = 0; head < _shape.Heads; head++)
            {
                int at = head * _blocks.HeadRoom;
                _blocks.Softmax(q + at, count);
                SmallProduct.Run(q + at, 1, _padded, upstream + at, _padded, sums + (head * step), _padded, _d, _padded, count, true);
                if (dQkv.Tensor is null)
                    continue;
                SmallProduct.Run(upstream + at, _padded, 1, squares + (head * _d * _padded), _padded, dq + at, _padded, count, _padded, _d,
                    false);
                _blocks.SoftmaxGradient(q + at, dq + at, count);
            }
            if (dQkv.Tensor is not null)
                _blocks.Unpack(dq, count, Token(CpuBackend.Pointer(dQkv.Tensor), sample, first), Stride, dQkv.Accumulate);
        }
    }

    /// <summary>The gradients of a chunk's keys and values; the first chunk adds the memory's.</summary>
    /// <param name="statistics">[Heads,2,D] of the sample.</param>
    /// <param name="contexts">[Heads,D,D] of the sample.</param>
    /// <param name="dContexts">[Heads,D,D] of the sample.</param>
    /// <param name="dSlots">[Heads,2,D,M] of the sample.</param>
    public void SummaryGradient(int sample, int chunk, float* statistics, float* contexts, float* dContexts, GradientTarget dQkv,
        float* dSlots)
    {
        int square = _shape.Heads * _d * _padded;
        float* keys = Scratch.ForItem((4L * _blocks.Room) + (2L * square) + _blocks.HeadRoom + (3L * _shape.Heads * _padded));
        float* values = keys + _blocks.Room, dKeys = values + _blocks.Room, dValues = dKeys + _blocks.Room;
        float* squares = dValues + _blocks.Room, transposed = squares + square, weights = transposed + square;
        float* constants = weights + _blocks.HeadRoom;
        _blocks.PackSquares(dContexts, squares);
        _blocks.PackTransposed(dContexts, transposed);
        for (int head = 0; head < _shape.Heads; head++)
        {
            float* ofHead = constants + (3L * head * _padded);
            KeyConstants(statistics + (2 * head * _d), contexts + (head * _d * _d), dContexts + (head * _d * _d), ofHead);
            for (int first = 0; chunk == 0 && first < _shape.M; first += Block)
            {
                int count = Math.Min(Block, _shape.M - first);
                _blocks.PackSlots(_memory, 0, head, first, count, keys);
                _blocks.PackSlots(_memory, 1, head, first, count, values);
                KeyGradient(keys, values, count, ofHead, squares + (head * _d * _padded), transposed + (head * _d * _padded), weights,
                    dKeys, dValues);
                _blocks.StoreSlots(dKeys, count, dSlots + (2L * head * _d * _shape.M) + first);
                _blocks.StoreSlots(dValues, count, dSlots + (((2L * head) + 1) * _d * _shape.M) + first);
            }
        }
        for (int first = chunk * TokenChunk, end = End(chunk); dQkv.Tensor is not null && first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            _blocks.Pack(Token(_qkv, sample, first) + _shape.Width, Stride, count, keys);
            _blocks.Pack(Token(_qkv, sample, first) + (2 * _shape.Width), Stride, count, values);
            for (int head = 0; head < _shape.Heads; head++)
            {
                int at = head * _blocks.HeadRoom, of = head * _d * _padded;
                KeyGradient(keys + at, values + at, count, constants + (3L * head * _padded), squares + of, transposed + of, weights,
                    dKeys + at, dValues + at);
            }
            float* target = Token(CpuBackend.Pointer(dQkv.Tensor), sample, first) + _shape.Width;
            _blocks.Unpack(dKeys, count, target, Stride, dQkv.Accumulate);
            _blocks.Unpack(dValues, count, target + _shape.Width, Stride, dQkv.Accumulate);
        }
    }

    private int End(int chunk) => Math.Min((chunk + 1) * TokenChunk, _shape.T);

    /// <summary>The row of a token in a tensor laid out like qkv.</summary>
    private float* Token(float* x, int sample, int token) => x + ((((long)sample * _shape.T) + token) * Stride);

    /// <summary>Adds a block of keys and values to a chunk's summary, after shrinking it where a key exceeds the maximum so far.</summary>
    private void Gather(float* keys, float* values, int count, float* weights, float* summary)
    {
        float* largest = summary + (_d * _padded), sums = largest + _padded, shrinks = stackalloc float[Simd.Width];
        for (int c = 0; c < _d; c += Simd.Width)
        {
            var before = Vector512.Load(largest + c);
            var now = before;
            for (int i = c; i < count * _padded; i += _padded)
                now = Vector512.MaxNative(now, Vector512.Load(keys + i));
            var sum = Lanes.Zero;
            for (int i = c; i < count * _padded; i += _padded)
            {
                var e = Simd.Exp(Vector512.Load(keys + i) - now);
                e.Store(weights + i);
                sum += e;
            }
            var shrink = Simd.Exp(before - now);
            Simd.MultiplyAdd(Vector512.Load(sums + c), shrink, sum).Store(sums + c);
            now.Store(largest + c);
            shrink.Store(shrinks);
            for (int row = c; row < Math.Min(c + Simd.Width, _d); row++)
                for (int i = row * _padded; i < (row + 1) * _padded; i += Simd.Width)
                    (Vector512.Load(summary + i) * Simd.Splat(shrinks[row - c])).Store(summary + i);
        }
        SmallProduct.Run(weights, 1, _padded, values, _padded, summary, _padded, _d, _padded, count, true);
    }

    /// <summary>Per key channel: the maximum, 1 / Σ e, and over the tokens Σ weight · gradient = Σ context · dContext.</summary>
    private void KeyConstants(float* statistics, float* context, float* dContext, float* constants)
    {
        new Span<float>(constants, 3 * _padded).Clear();
        for (int row = 0; row < _d; row++)
        {
            constants[row] = statistics[row];
            constants[_padded + row] = 1 / statistics[_d + row];
            for (int column = 0; column < _d; column++)
                constants[(2 * _padded) + row] += context[(row * _d) + column] * dContext[(row * _d) + column];
        }
    }

    /// <summary>The gradients of a block of keys and values of one head.</summary>
    private void KeyGradient(float* keys, float* values, int count, float* constants, float* square, float* transposed, float* weights,
        float* dKeys, float* dValues)
    {
        float* inverse = constants + _padded, along = inverse + _padded;
        for (int i = 0; i < count * _padded; i += _padded)
            for (int c = 0; c < _padded; c += Simd.Width)
            {
                var e = Simd.Exp(Vector512.Load(keys + i + c) - Vector512.Load(constants + c));
                (e * Vector512.Load(inverse + c)).Store(weights + i + c);
            }
        SmallProduct.Run(values, _padded, 1, transposed, _padded, dKeys, _padded, count, _padded, _d, false);
        SmallProduct.Run(weights, _padded, 1, square, _padded, dValues, _padded, count, _padded, _d, false);
        for (int i = 0; i < count * _padded; i += _padded)
            for (int c = 0; c < _padded; c += Simd.Width)
                (Vector512.Load(weights + i + c) * (Vector512.Load(dKeys + i + c) - Vector512.Load(along + c))).Store(dKeys + i + c);
    }
}

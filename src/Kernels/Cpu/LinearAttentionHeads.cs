using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>The steps of linear attention for one head and one chunk of tokens.</summary>
internal readonly unsafe struct LinearAttentionHeads(in AttentionShape shape, float* qkv, float* memory)
{
    /// <summary>Tokens of a chunk: their queries, keys and values fit the second-level cache.</summary>
    private const int TokenChunk = 256;

    /// <summary>Tokens handled together in the first-level cache.</summary>
    private const int Block = 64;

    private readonly AttentionShape _shape = shape;
    private readonly float* _qkv = qkv;
    private readonly float* _memory = memory;

    /// <summary>Chunks of a sample.</summary>
    public int Chunks => (_shape.T + TokenChunk - 1) / TokenChunk;

    private int Padded => Simd.Padded(_shape.D);

    private long Stride => 3L * _shape.Width;

    /// <summary>Σ e^(k − max) vᵀ [D,padded] of a chunk, then the maxima and the sums of its exponentials; the memory is in the first chunk.</summary>
    public void Summarise(int sample, int head, int chunk, float* summary)
    {
        int d = _shape.D, padded = Padded;
        float* keys = Scratch.ForItem(3L * Block * padded), values = keys + (Block * padded), weights = values + (Block * padded);
        float* largest = summary + (d * padded);
        new Span<float>(summary, (d + 2) * padded).Clear();
        new Span<float>(largest, padded).Fill(float.NegativeInfinity);
        for (int first = 0; chunk == 0 && first < _shape.M; first += Block)
        {
            int count = Math.Min(Block, _shape.M - first);
            PackSlots(0, head, first, count, keys);
            PackSlots(1, head, first, count, values);
            Gather(keys, padded, values, padded, count, weights, summary);
        }
        int end = Math.Min((chunk + 1) * TokenChunk, _shape.T);
        for (int first = chunk * TokenChunk; first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            float* key = Token(sample, head, first) + _shape.Width;
            float* value = WholeLanes(key + _shape.Width, Stride, count, values, out long valueRow);
            Gather(key, Stride, value, valueRow, count, weights, summary);
        }
    }

    /// <summary>Joins a head's chunks: the maxima and sums of all keys, and the context, divided by the sums.</summary>
    public static void Join(int d, int chunks, float* summaries, float* statistics, float* context)
    {
        int padded = Simd.Padded(d), size = (d + 2) * padded;
        for (int row = 0; row < d; row++)
        {
            float largest = float.NegativeInfinity;
            for (int chunk = 0; chunk < chunks; chunk++)
                largest = MathF.Max(largest, summaries[((long)chunk * size) + (d * padded) + row]);
            double sum = 0;
            for (int chunk = 0; chunk < chunks; chunk++)
                sum += Weight(chunk) * summaries[((long)chunk * size) + ((d + 1) * padded) + row];
            statistics[row] = largest;
            statistics[d + row] = (float)sum;
            for (int column = 0; column < d; column++)
            {
                double total = 0;
                for (int chunk = 0; chunk < chunks; chunk++)
                    total += Weight(chunk) * summaries[((long)chunk * size) + (row * padded) + column];
                context[(row * d) + column] = (float)(total / sum);
            }

            double Weight(int chunk) => Math.Exp(summaries[((long)chunk * size) + (d * padded) + row] - largest);
        }
    }

    /// <summary>y = softmax(q) · D^-½ · context for a chunk.</summary>
    public void Read(int sample, int head, int chunk, float* context, float* y)
    {
        int d = _shape.D, padded = Padded;
        float* q = Scratch.ForItem((2L * Block * padded) + (d * padded)), rows = q + (Block * padded), square = rows + (Block * padded);
        Pack(context, d, d, square);
        int end = Math.Min((chunk + 1) * TokenChunk, _shape.T);
        for (int first = chunk * TokenChunk; first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            SoftmaxQueries(Token(sample, head, first), count, q);
            SmallProduct.Run(q, padded, 1, square, padded, rows, padded, count, padded, d, false);
            float* target = y + ((((long)sample * _shape.T) + first) * _shape.Width) + (head * d);
            Unpack(rows, count, target, _shape.Width, accumulate: false);
        }
    }

    /// <summary>Σ q dyᵀ [D,padded] of a chunk, and the gradient of its queries.</summary>
    public void ReadGradient(int sample, int head, int chunk, float* context, float* dy, float* dContext, GradientTarget dQkv)
    {
        int d = _shape.D, padded = Padded;
        float* q = Scratch.ForItem((3L * Block * padded) + (d * padded)), dq = q + (Block * padded), upstream = dq + (Block * padded);
        float* square = upstream + (Block * padded);
        PackTransposed(context, square);
        new Span<float>(dContext, d * padded).Clear();
        int end = Math.Min((chunk + 1) * TokenChunk, _shape.T);
        for (int first = chunk * TokenChunk; first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            SoftmaxQueries(Token(sample, head, first), count, q);
            float* given = WholeLanes(dy + ((((long)sample * _shape.T) + first) * _shape.Width) + (head * d), _shape.Width, count, upstream,
                out long givenRow);
            SmallProduct.Run(q, 1, padded, given, givenRow, dContext, padded, d, padded, count, true);
            if (dQkv.Tensor is null)
                continue;
            SmallProduct.Run(given, givenRow, 1, square, padded, dq, padded, count, padded, d, false);
            for (int i = 0; i < count; i++)
            {
                float* row = q + (i * padded), gradient = dq + (i * padded);
                var dot = Lanes.Zero;
                for (int c = 0; c < padded; c += Simd.Width)
                    dot = Simd.MultiplyAdd(Vector512.Load(row + c), Vector512.Load(gradient + c), dot);
                var along = Simd.Splat(Simd.Sum(dot) / _shape.QueryScale);
                for (int c = 0; c < padded; c += Simd.Width)
                    (Vector512.Load(row + c) * (Vector512.Load(gradient + c) - along)).Store(gradient + c);
            }
            Unpack(dq, count, Gradient(dQkv, sample, head, first), Stride, dQkv.Accumulate);
        }
    }

    /// <summary>The gradients of a chunk's keys and values; the first chunk adds the memory's.</summary>
    public void SummaryGradient(int sample, int head, int chunk, float* statistics, float* context, float* dContext, GradientTarget dQkv,
        float* dSlots)
    {
        int d = _shape.D, padded = Padded;
        float* keys = Scratch.ForItem((5L * Block * padded) + (2 * d * padded) + (3 * padded)), values = keys + (Block * padded);
        float* weights = values + (Block * padded), dKeys = weights + (Block * padded), dValues = dKeys + (Block * padded);
        float* square = dValues + (Block * padded), transposed = square + (d * padded), largest = transposed + (d * padded);
        float* inverse = largest + padded, along = inverse + padded;
        Pack(dContext, d, d, square);
        PackTransposed(dContext, transposed);
        new Span<float>(largest, 3 * padded).Clear();
        for (int row = 0; row < d; row++)
        {
            largest[row] = statistics[row];
            inverse[row] = 1 / statistics[d + row];
            for (int column = 0; column < d; column++)
                along[row] += context[(row * d) + column] * dContext[(row * d) + column];
        }
        for (int first = 0; chunk == 0 && first < _shape.M; first += Block)
        {
            int count = Math.Min(Block, _shape.M - first);
            PackSlots(0, head, first, count, keys);
            PackSlots(1, head, first, count, values);
            BlockGradient(keys, padded, values, padded, count);
            for (int i = 0; i < count; i++)
                for (int c = 0; c < d; c++)
                {
                    dSlots[(c * _shape.M) + first + i] = dKeys[(i * padded) + c];
                    dSlots[((d + c) * _shape.M) + first + i] = dValues[(i * padded) + c];
                }
        }
        if (dQkv.Tensor is null)
            return;
        int end = Math.Min((chunk + 1) * TokenChunk, _shape.T);
        for (int first = chunk * TokenChunk; first < end; first += Block)
        {
            int count = Math.Min(Block, end - first);
            float* key = Token(sample, head, first) + _shape.Width;
            BlockGradient(key, Stride, key + _shape.Width, Stride, count);
            float* target = Gradient(dQkv, sample, head, first) + _shape.Width;
            Unpack(dKeys, count, target, Stride, dQkv.Accumulate);
            Unpack(dValues, count, target + _shape.Width, Stride, dQkv.Accumulate);
        }

        void BlockGradient(float* key, long keyRow, float* value, long valueRow, int count)
        {
            for (int i = 0; i < count; i++)
                for (int c = 0; c < d; c += Simd.Width)
                {
                    var e = Simd.Exp(Simd.Load(key + (i * keyRow) + c, d - c) - Vector512.Load(largest + c));
                    (e * Vector512.Load(inverse + c)).Store(weights + (i * padded) + c);
                }
            SmallProduct.Run(value, valueRow, 1, transposed, padded, dKeys, padded, count, padded, d, false);
            SmallProduct.Run(weights, padded, 1, square, padded, dValues, padded, count, padded, d, false);
            for (int i = 0; i < count * padded; i += padded)
                for (int c = 0; c < padded; c += Simd.Width)
                    (Vector512.Load(weights + i + c) * (Vector512.Load(dKeys + i + c) - Vector512.Load(along + c))).Store(dKeys + i + c);
        }
    }

    private float* Token(int sample, int head, int token) => _qkv + ((((long)sample * _shape.T) + token) * Stride) + (head * _shape.D);

    private float* Gradient(GradientTarget dQkv, int sample, int head, int token)
        => CpuBackend.Pointer(dQkv.Tensor!) + (Token(sample, head, token) - _qkv);

    /// <summary>Adds a block of keys and values to a chunk's summary, after shrinking it where a key exceeds the maximum so far.</summary>
    private void Gather(float* key, long keyRow, float* value, long valueRow, int count, float* weights, float* summary)
    {
        int d = _shape.D, padded = Padded;
        float* largest = summary + (d * padded), sums = largest + padded, shrinks = stackalloc float[Simd.Width];
        for (int c = 0; c < d; c += Simd.Width)
        {
            var before = Vector512.Load(largest + c);
            var now = before;
            for (int i = 0; i < count; i++)
                now = Vector512.Max(now, Simd.Load(key + (i * keyRow) + c, d - c));
            var sum = Lanes.Zero;
            for (int i = 0; i < count; i++)
            {
                var e = Simd.Exp(Simd.Load(key + (i * keyRow) + c, d - c) - now);
                e.Store(weights + (i * padded) + c);
                sum += e;
            }
            var shrink = Simd.Exp(before - now);
            Simd.MultiplyAdd(Vector512.Load(sums + c), shrink, sum).Store(sums + c);
            now.Store(largest + c);
            shrink.Store(shrinks);
            for (int row = c; row < Math.Min(c + Simd.Width, d); row++)
                for (int i = 0; i < padded; i += Simd.Width)
                    (Vector512.Load(summary + (row * padded) + i) * Simd.Splat(shrinks[row - c])).Store(summary + (row * padded) + i);
        }
        SmallProduct.Run(weights, 1, padded, value, valueRow, summary, padded, d, padded, count, true);
    }

    /// <summary>softmax(q) · D^-½ of some tokens, zero past the end of a row.</summary>
    private void SoftmaxQueries(float* q, int count, float* rows)
    {
        int d = _shape.D;
        for (int i = 0; i < count; i++, q += Stride, rows += Padded)
        {
            var largest = Simd.Splat(float.NegativeInfinity);
            for (int c = 0; c < d; c += Simd.Width)
                largest = Vector512.Max(largest, Simd.Keep(Simd.Load(q + c, d - c), d - c, float.NegativeInfinity));
            largest = Simd.Splat(Simd.Largest(largest));
            var sum = Lanes.Zero;
            for (int c = 0; c < d; c += Simd.Width)
            {
                var e = Simd.Keep(Simd.Exp(Simd.Load(q + c, d - c) - largest), d - c, 0);
                sum += e;
                e.Store(rows + c);
            }
            var factor = Simd.Splat(_shape.QueryScale / Simd.Sum(sum));
            for (int c = 0; c < d; c += Simd.Width)
                (Vector512.Load(rows + c) * factor).Store(rows + c);
        }
    }

    /// <summary>The rows themselves where they are whole lanes, otherwise a copy with zeros past the end.</summary>
    private float* WholeLanes(float* x, long row, int count, float* room, out long rowOut)
    {
        rowOut = row;
        if (_shape.D == Padded)
            return x;
        rowOut = Padded;
        Pack(x, row, count, room);
        return room;
    }

    private void Pack(float* x, long row, int count, float* rows)
    {
        for (int i = 0; i < count; i++)
            for (int c = 0; c < _shape.D; c += Simd.Width)
                Simd.Load(x + (i * row) + c, _shape.D - c).Store(rows + (i * Padded) + c);
    }

    private void PackTransposed(float* x, float* rows)
    {
        int d = _shape.D, padded = Padded;
        new Span<float>(rows, d * padded).Clear();
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++)
                rows[(j * padded) + i] = x[(i * d) + j];
    }

    private void Unpack(float* rows, int count, float* x, long row, bool accumulate)
    {
        for (int i = 0; i < count; i++)
            for (int c = 0; c < _shape.D; c += Simd.Width)
                Simd.Store(Vector512.Load(rows + (i * Padded) + c), x + (i * row) + c, _shape.D - c, accumulate);
    }

    /// <summary>Memory slots [D,M] as rows of channels.</summary>
    private void PackSlots(int side, int head, int first, int count, float* rows)
    {
        int d = _shape.D, padded = Padded;
        float* slots = _memory + ((((long)side * _shape.Heads) + head) * d * _shape.M);
        new Span<float>(rows, count * padded).Clear();
        for (int i = 0; i < count; i++)
            for (int c = 0; c < d; c++)
                rows[(i * padded) + c] = slots[(c * _shape.M) + first + i];
    }
}

using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    /// <summary>The gradients that a block of queries causes, one block of keys after the other; the weights are computed again.</summary>
    private readonly struct GradientBlock
    {
        private readonly AttentionShape _shape;
        private readonly int _padded;

        // Queries, scaled, as rows and as columns; likewise dy; the gradient of the queries as columns; weights and their gradient.
        private readonly float* _rows, _columns, _dyRows, _dyColumns, _dColumns, _weights, _dWeights, _logSumExp, _dot;
        private readonly int* _queries;

        public GradientBlock(in AttentionShape shape, float* room)
        {
            _shape = shape;
            _padded = Simd.Padded(shape.D);
            int block = _padded * QueryBlock, keys = KeyRoom(shape);
            _rows = room;
            _columns = _rows + block;
            _dyRows = _columns + block;
            _dyColumns = _dyRows + block;
            _dColumns = _dyColumns + block;
            _weights = _dColumns + block;
            _dWeights = _weights + keys;
            _logSumExp = _dWeights + keys;
            _dot = _logSumExp + QueryBlock;
            _queries = (int*)(_dot + QueryBlock);
        }

        private int Columns => Simd.Padded(*_queries);

        /// <summary>Floats that a block needs.</summary>
        public static long Room(in AttentionShape shape)
            => (5L * Simd.Padded(shape.D) * QueryBlock) + (2L * KeyRoom(shape)) + (3 * QueryBlock);

        private static int KeyRoom(in AttentionShape shape) => Math.Max(AttentionHeads.KeyBlock, shape.M) * QueryBlock;

        /// <summary>Takes a block of queries with their results.</summary>
        public void Begin(int queries, float* q, long stride, float* y, float* dy, float* logSumExp)
        {
            *_queries = queries;
            Transpose(q, stride, queries, _shape.D, _shape.QueryScale, _columns);
            Transpose(dy, _shape.Width, queries, _shape.D, 1, _dyColumns);
            new Span<float>(_dColumns, _shape.D * QueryBlock).Clear();
            new Span<float>(_logSumExp, 2 * QueryBlock).Clear();
            var scale = Simd.Splat(_shape.QueryScale);
            for (int i = 0; i < queries; i++)
            {
                var dot = Lanes.Zero;
                for (int d = 0; d < _shape.D; d += Simd.Width)
                {
                    int left = _shape.D - d;
                    var upstream = Simd.Load(dy + ((long)i * _shape.Width) + d, left);
                    dot = Simd.MultiplyAdd(upstream, Simd.Load(y + ((long)i * _shape.Width) + d, left), dot);
                    upstream.Store(_dyRows + (i * _padded) + d);
                    (Simd.Load(q + (i * stride) + d, left) * scale).Store(_rows + (i * _padded) + d);
                }
                _dot[i] = Simd.Sum(dot);
                _logSumExp[i] = logSumExp[i];
            }
        }

        /// <summary>Adds what a block of keys receives, and what the queries receive through it.</summary>
        public void Add(in KeyRange keys, float* dKeys, float* dValues)
        {
            int columns = Columns;
            SmallProduct.Run(keys.Key, keys.Stride, 1, _columns, QueryBlock, _weights, QueryBlock, keys.Count, columns, _shape.D, false);
            SmallProduct.Run(keys.Value, keys.Stride, 1, _dyColumns, QueryBlock, _dWeights, QueryBlock, keys.Count, columns, _shape.D,
                false);
            for (int k = 0; k < keys.Count; k++)
                for (int at = k * QueryBlock, c = 0; c < columns; c += Simd.Width)
                {
                    var weight = Simd.Exp(Vector512.Load(_weights + at + c) - Vector512.Load(_logSumExp + c));
                    weight.Store(_weights + at + c);
                    (weight * (Vector512.Load(_dWeights + at + c) - Vector512.Load(_dot + c))).Store(_dWeights + at + c);
                }
            SmallProduct.Run(_weights, QueryBlock, 1, _dyRows, _padded, dValues, _padded, keys.Count, _padded, *_queries, true);
            SmallProduct.Run(_dWeights, QueryBlock, 1, _rows, _padded, dKeys, _padded, keys.Count, _padded, *_queries, true);
            SmallProduct.Run(keys.Key, 1, keys.Stride, _dWeights, QueryBlock, _dColumns, QueryBlock, _shape.D, columns, keys.Count, true);
        }

        /// <summary>Writes the gradient of the queries.</summary>
        public void StoreQueries(float* dq, long stride, bool accumulate)
        {
            for (int i = 0; i < *_queries; i++)
                for (int d = 0; d < _shape.D; d++)
                {
                    float v = _dColumns[(d * QueryBlock) + i] * _shape.QueryScale;
                    dq[(i * stride) + d] = accumulate ? dq[(i * stride) + d] + v : v;
                }
        }
    }
}

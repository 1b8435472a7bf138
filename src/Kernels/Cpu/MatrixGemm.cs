using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>A matrix in host memory, or a part of one.</summary>
/// <param name="Values">First value.</param>
/// <param name="Pitch">Values from one row to the next.</param>
internal readonly unsafe record struct MatrixBlock(nint Values, nint Pitch)
{
    public MatrixBlock(double* values, nint pitch)
        : this((nint)values, pitch)
    {
    }

    /// <summary>The start of a row.</summary>
    public double* Row(nint row) => (double*)Values + (row * Pitch);
}

/// <summary>Matrix products in double precision on all cores.</summary>
/// <remarks>The depth is cut into runs; of each, b is packed into panels that all threads read, and every work item packs a block of rows
/// of a. A value's sum runs over the depth in order, run by run: it depends on the extents alone.</remarks>
internal static unsafe class MatrixGemm
{
    /// <summary>Depth of a run: a panel of b (128 KB) and a block of a (384 KB) stay in a core's second-level cache.</summary>
    private const int RunDepth = 512;

    /// <summary>Rows of a work item.</summary>
    private const int BlockRows = 16 * MatrixKernel.Rows;

    /// <summary>Work items that a product of few rows is cut into.</summary>
    private const int FewestItems = 8;

    /// <summary>Multiply-adds that are not worth waking another thread for.</summary>
    private const long SmallProduct = 1 << 18;

    /// <summary>Computes C = Alpha · op(A) · op(B) + Beta · addend + Gamma · I.</summary>
    /// <param name="s">Where symmetric, only values on and below the diagonal are right; see <see cref="Mirror"/>.</param>
    /// <param name="a">[M,K], or [K,M] where transposed.</param>
    /// <param name="b">[K,N], or [N,K] where transposed.</param>
    /// <param name="addend">[M,N]; read only where Beta is not 0; may be c.</param>
    /// <param name="c">[M,N].</param>
    public static void Multiply(MatrixProductShape s, MatrixBlock a, MatrixBlock b, MatrixBlock addend, MatrixBlock c)
    {
        int width = MatrixKernel.Widest.Width;
        int panels = (s.N + width - 1) / width, blocks = (s.M + BlockRows - 1) / BlockRows;
        int chunks = Math.Min(panels, (FewestItems + blocks - 1) / blocks);
        bool parallel = (long)s.M * s.N * s.K > SmallProduct;
        double* packed = Scratch.ForOp<double>((long)panels * width * Math.Min(s.K, RunDepth));
        for (int first = 0; first < s.K; first += RunDepth)
        {
            int start = first, depth = Math.Min(RunDepth, s.K - first);
            ForkJoinPool.Run(panels, panel => PackColumns(s, b, start, depth, panel * width, width, packed + ((long)panel * width * depth)),
                parallel);
            ForkJoinPool.Run(blocks * chunks, item =>
            {
                // The last rows of a symmetric result are the longest: they come first.
                int block = s.Symmetric ? blocks - 1 - (item / chunks) : item / chunks, chunk = item % chunks;
                var run = new Run(s, a, addend, c, start, depth, packed);
                run.Compute(block * BlockRows, Math.Min(s.M, (block + 1) * BlockRows), (int)((long)panels * chunk / chunks),
                    (int)((long)panels * (chunk + 1) / chunks));
            }, parallel);
        }
    }

    /// <summary>Copies what lies below the diagonal of an n × n matrix to its mirror image above.</summary>
    public static void Mirror(MatrixBlock c, int n)
    {
        const int Side = 64;
        int tiles = (n + Side - 1) / Side;
        ForkJoinPool.Run(tiles, item =>
        {
            int top = item * Side, bottom = Math.Min(n, top + Side);
            for (int left = 0; left <= top; left += Side)
            {
                for (int column = left; column < Math.Min(n, left + Side); column++)
                {
                    double* target = c.Row(column);
                    for (int row = Math.Max(top, column + 1); row < bottom; row++)
                        target[row] = c.Row(row)[column];
                }
            }
        }, tiles > 4);
    }

    /// <summary>Packs columns [first, first + width) of op(b) as [depth, width]; columns past the edge are zero.</summary>
    private static void PackColumns(in MatrixProductShape s, MatrixBlock b, int start, int depth, int first, int width, double* packed)
    {
        int count = Math.Min(width, s.N - first);
        if (count < width)
            new Span<double>(packed, depth * width).Clear();
        if (s.TransposeB)
        {
            for (int j = 0; j < count; j++)
            {
                double* source = b.Row(first + j) + start;
                for (int k = 0; k < depth; k++)
                    packed[(k * width) + j] = source[k];
            }
        }
        else
        {
            for (int k = 0; k < depth; k++)
                new ReadOnlySpan<double>(b.Row(start + k) + first, count).CopyTo(new Span<double>(packed + (k * width), count));
        }
    }

    /// <summary>One run of the depth, for one block of rows and some panels.</summary>
    private readonly struct Run(MatrixProductShape s, MatrixBlock a, MatrixBlock addend, MatrixBlock c, int start, int depth,
        double* packed)
    {
        public void Compute(int top, int bottom, int firstPanel, int endPanel)
        {
            const int Rows = MatrixKernel.Rows;
            var kernel = MatrixKernel.Widest;
            int width = kernel.Width;
            double* rows = (double*)Scratch.ForItem(2L * BlockRows * depth);
            for (int row = top; row < bottom; row += Rows)
                PackRows(row, rows + ((nint)(row - top) * depth));
            double* sums = stackalloc double[Rows * MatrixKernel.MaxWidth];
            for (int panel = firstPanel; panel < endPanel; panel++)
            {
                int column = panel * width;
                double* columns = packed + ((nint)column * depth);
                for (int row = top; row < bottom; row += Rows)
                {
                    if (s.Symmetric && column >= row + Rows)
                        continue;
                    kernel.Dot(depth, rows + ((nint)(row - top) * depth), columns, sums);
                    for (int i = 0; i < Math.Min(Rows, s.M - row); i++)
                        Store(sums + (i * width), row + i, column, Math.Min(width, s.N - column));
                }
            }
        }

        /// <summary>Packs six rows of op(a) as [depth, 6]; rows past the edge are zero.</summary>
        private void PackRows(int first, double* rows)
        {
            const int Rows = MatrixKernel.Rows;
            int count = Math.Min(Rows, s.M - first);
            if (count < Rows)
                new Span<double>(rows, depth * Rows).Clear();
            if (s.TransposeA)
            {
                for (int k = 0; k < depth; k++)
                {
                    double* source = a.Row(start + k) + first;
                    for (int i = 0; i < count; i++)
                        rows[(k * Rows) + i] = source[i];
                }
            }
            else
            {
                for (int i = 0; i < count; i++)
                {
                    double* source = a.Row(first + i) + start;
                    for (int k = 0; k < depth; k++)
                        rows[(k * Rows) + i] = source[k];
                }
            }
        }

        private void Store(double* sums, int row, int column, int count)
        {
            double* target = c.Row(row) + column;
            bool begins = start == 0;
            double* before = !begins ? target : s.Beta != 0 ? addend.Row(row) + column : null;
            double beta = begins ? s.Beta : 1;
            int j = 0;
            if (before is null)
            {
                for (; j + 8 <= count; j += 8)
                    (Vector512.Load(sums + j) * s.Alpha).Store(target + j);
                for (; j < count; j++)
                    target[j] = sums[j] * s.Alpha;
            }
            else
            {
                for (; j + 8 <= count; j += 8)
                    ((Vector512.Load(sums + j) * s.Alpha) + (Vector512.Load(before + j) * beta)).Store(target + j);
                for (; j < count; j++)
                    target[j] = (sums[j] * s.Alpha) + (before[j] * beta);
            }

            if (begins && s.Gamma != 0 && row >= column && row < column + count)
                target[row - column] += s.Gamma;
        }
    }
}

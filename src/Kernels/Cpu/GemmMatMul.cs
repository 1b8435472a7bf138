namespace Diffusion.Gpu.Kernels;

/// <summary>Batched products of row-major matrices in raw memory.</summary>
internal static unsafe class GemmMatMul
{
    /// <summary>c[i] (+)= op(a[i]) · op(b[i]).</summary>
    /// <param name="s">Sizes and which side is transposed.</param>
    /// <param name="a">[Batch, M, K], or [Batch, K, M] where transposed.</param>
    /// <param name="b">[Batch, K, N], or [Batch, N, K] where transposed.</param>
    /// <param name="c">[Batch, M, N].</param>
    /// <param name="accumulate">Adds to c.</param>
    public static void Run(MatMulShape s, float* a, float* b, float* c, bool accumulate)
    {
        nint sizeA = s.M * (nint)s.K, sizeB = s.K * (nint)s.N, sizeC = s.M * (nint)s.N;
        // Enough products keep every thread busy with its own; fewer are shared, one after the other.
        bool perThread = s.Batch >= 2 * ForkJoinPool.Threads;
        ForkJoinPool.Run(s.Batch, i => Single(s, a + (i * sizeA), b + (i * sizeB), c + (i * sizeC), accumulate), perThread);
    }

    private static void Single(in MatMulShape s, float* a, float* b, float* c, bool accumulate)
    {
        var kernel = MicroKernel.Widest;
        if (s.TransposeA && !s.TransposeB)
        {
            GemmOuter.Run(kernel, GemmWindow.Rows(s.K, s.N), b, a, s.M, c, accumulate);
            return;
        }

        var scratch = GemmScratch.Current;
        if (s.TransposeA)
            a = Transpose(a, s.K, s.M, scratch.Transposed);
        var packed = scratch.Panels;
        nint columns = s.N;
        if (s.TransposeB)
            packed.PackTransposed(kernel, b, s.K, s.K, s.N);
        else
            packed.PackRows(kernel, b, row => row * columns, s.K, s.N);
        var window = GemmWindow.Rows(s.M, s.K);
        Gemm.Run(window, a, packed, GemmTarget.All(c, window, s.N, accumulate));
    }

    /// <summary>Writes the transpose of a matrix [rows, columns] in square blocks whose lines stay in the cache.</summary>
    private static float* Transpose(float* source, int rows, int columns, AlignedBuffer memory)
    {
        const int Block = 32;
        float* target = memory.Take<float>(rows * (long)columns);
        ForkJoinPool.RunRanges(columns, Block, (first, end) =>
        {
            for (nint top = 0; top < rows; top += Block)
            {
                for (nint column = (nint)first; column < end; column++)
                {
                    for (nint row = top; row < Math.Min(rows, top + Block); row++)
                        target[(column * rows) + row] = source[(row * columns) + column];
                }
            }
        });
        return target;
    }
}

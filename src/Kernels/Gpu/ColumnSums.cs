using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Two terms that are summed together.</summary>
internal struct Pair
{
    public float A;
    public float B;
}

/// <summary>What <see cref="GpuBackend"/>.ColumnSums adds up over the positions of a sample.</summary>
internal interface IColumnTerms
{
    /// <summary>The terms of sample n, channel c; row = n · P + p.</summary>
    Pair At(int n, int row, int c);
}

/// <summary>Sums over the positions of each sample and channel: what the gradients of gains, biases and modulations need.</summary>
internal sealed partial class GpuBackend
{
    private const int TermColumns = 32;
    private const int TermRows = Launcher.GroupSize / TermColumns;

    /// <summary>Positions a group adds: 32 a thread.</summary>
    private const int TermChunk = 32 * TermRows;

    /// <summary>Σ over p of both terms for each sample and channel: [N,2,C]. One pass over the operands, in the order of p.</summary>
    private Workspace ColumnSums<TTerms>(in RowShape s, TTerms terms)
        where TTerms : struct, IColumnTerms
    {
        int chunks = Launcher.GroupsFor(s.P, TermChunk), columns = Launcher.GroupsFor(s.C, TermColumns);
        var partial = Rent(2L * s.N * chunks * s.C);
        _launcher.Launch(SumTerms, new SumTermsArgs<TTerms>(terms, s.P, s.C, columns, chunks, partial.View),
            new Index3D(columns * chunks * s.N, 1, 1));
        return AddChunks(s, partial, chunks);
    }

    /// <summary>[N,chunks,2,C], which is freed, to [N,2,C].</summary>
    private Workspace AddChunks(in RowShape s, Workspace partial, int chunks)
    {
        if (chunks == 1)
            return partial;
        var sums = Rent(2L * s.N * s.C);
        _launcher.ForEach(2L * s.N * s.C, new AddChunksKernel(partial.View, chunks, 2 * s.C, sums.View));
        partial.Dispose();
        return sums;
    }

    /// <summary>target[c] = Σ over n of sums[n, which, c].</summary>
    private void AddSamples(in RowShape s, Workspace sums, int which, GradientTarget target)
    {
        if (target.Tensor is not null)
            _launcher.ForEach(s.C, new AddSamplesKernel(sums.View, s.N, s.C, which, To(target)));
    }

    internal readonly record struct SumTermsArgs<TTerms>(TTerms Terms, int P, int C, int Columns, int Chunks, ArrayView<float> Partial);

    /// <summary>
    /// Group = 32 channels of one chunk of one sample; thread = one channel of every eighth position, then a tree over the eight.
    /// Shared: 2 KB. Partial is [N,chunks,2,C].
    /// </summary>
    internal static void SumTerms<TTerms>(SumTermsArgs<TTerms> a)
        where TTerms : struct, IColumnTerms
    {
        var sharedA = SharedMemory.Allocate<float>(Launcher.GroupSize);
        var sharedB = SharedMemory.Allocate<float>(Launcher.GroupSize);
        int part = Grid.IdxX / a.Columns, n = part / a.Chunks, t = Group.IdxX;
        int c = ((Grid.IdxX - (part * a.Columns)) * TermColumns) + (t & (TermColumns - 1));
        int first = (part - (n * a.Chunks)) * TermChunk;
        int end = c >= a.C ? 0 : a.P - first < TermChunk ? a.P : first + TermChunk;
        float sumA = 0, sumB = 0;
        for (int p = first + (t >> 5); p < end; p += TermRows)
        {
            var terms = a.Terms.At(n, (n * a.P) + p, c);
            sumA += terms.A;
            sumB += terms.B;
        }
        sharedA[t] = sumA;
        sharedB[t] = sumB;
        Group.Barrier();
        for (int half = Launcher.GroupSize / 2; half >= TermColumns; half >>= 1)
        {
            if (t < half)
            {
                sharedA[t] += sharedA[t + half];
                sharedB[t] += sharedB[t + half];
            }
            Group.Barrier();
        }
        if (t < TermColumns && c < a.C)
        {
            int at = (part * 2 * a.C) + c;
            a.Partial[at] = sharedA[t];
            a.Partial[at + a.C] = sharedB[t];
        }
    }

    /// <summary>sums[n, i] = Σ over chunks of partial[n, chunk, i].</summary>
    internal readonly struct AddChunksKernel(ArrayView<float> partial, int chunks, int width, ArrayView<float> sums) : IElementKernel
    {
        public void Run(int i)
        {
            int n = i / width, at = (n * chunks * width) + i - (n * width);
            float sum = 0;
            for (int chunk = 0; chunk < chunks; chunk++)
                sum += partial[at + (chunk * width)];
            sums[i] = sum;
        }
    }

    internal readonly struct AddSamplesKernel(ArrayView<float> sums, int samples, int c, int which, Target target) : IElementKernel
    {
        public void Run(int i)
        {
            float sum = 0;
            for (int n = 0; n < samples; n++)
                sum += sums[(((2 * n) + which) * c) + i];
            target.Store(i, sum);
        }
    }
}

using ILGPU;
using ILGPU.Runtime;

namespace Diffusion.Gpu.Kernels;

/// <summary>A group of 256 threads as rows of 2^bits lanes that reduce together: many short rows a group, or one long one.</summary>
/// <remarks>Trees in shared memory: their order depends on the row's length alone, and every device has them. Every thread of the group
/// must call a reduction, also those whose row lies past the end. Shared: 1 KB, given by the kernel.
/// ILGPU moves a read down to its first use in the same block of code, past a barrier that stands between. The result is read under a
/// branch, which keeps the read before the barrier that lets others write again.</remarks>
internal readonly struct RowReduction
{
    private const int GroupBits = 8;
    private readonly int _rows;
    private readonly int _bits;

    private RowReduction(int rows, int bits)
    {
        _rows = rows;
        _bits = bits;
    }

    /// <summary>About four values a lane, so that short rows do not idle most of a group.</summary>
    public static RowReduction For(int rows, int length)
    {
        int bits = 3;
        while (bits < GroupBits && 4 << bits < length)
            bits++;
        return new RowReduction(rows, bits);
    }

    /// <summary>The whole group on one row.</summary>
    public static RowReduction Whole => new(int.MaxValue, GroupBits);

    /// <summary>Groups that cover all rows.</summary>
    public int Groups => Launcher.GroupsFor(_rows, RowsOfGroup);

    public int Row => (Grid.IdxX * RowsOfGroup) + RowOfGroup;

    /// <summary>Rows that a group reduces side by side.</summary>
    public int RowsOfGroup => 1 << (GroupBits - _bits);

    /// <summary>Which of them this thread belongs to.</summary>
    public int RowOfGroup => Group.IdxX >> _bits;

    public int Lane => Group.IdxX & (Lanes - 1);

    public int Lanes => 1 << _bits;

    /// <summary>One past the last value of this thread's row; 0 where there is no such row, so that loops over it do nothing.</summary>
    public int End(int length) => Row < _rows ? length : 0;

    public static ArrayView<float> Shared() => SharedMemory.Allocate<float>(1 << GroupBits);

    /// <summary>The sum over the row's lanes, for each of them.</summary>
    public float Sum(ArrayView<float> shared, float value)
    {
        int t = Group.IdxX, lane = Lane;
        shared[t] = value;
        Group.Barrier();
        for (int half = Lanes >> 1; half > 0; half >>= 1)
        {
            if (lane < half)
                shared[t] += shared[t + half];
            Group.Barrier();
        }
        float sum = value;
        if (Lanes > 0)
            sum = shared[t - lane];
        Group.Barrier();
        return sum;
    }

    /// <summary>The largest value of the row's lanes, for each of them.</summary>
    public float Max(ArrayView<float> shared, float value)
    {
        int t = Group.IdxX, lane = Lane;
        shared[t] = value;
        Group.Barrier();
        for (int half = Lanes >> 1; half > 0; half >>= 1)
        {
            if (lane < half && shared[t + half] > shared[t])
                shared[t] = shared[t + half];
            Group.Barrier();
        }
        float max = value;
        if (Lanes > 0)
            max = shared[t - lane];
        Group.Barrier();
        return max;
    }
}

/// <summary>What <see cref="GpuBackend"/>.Total adds up.</summary>
internal interface ITerm
{
    float At(int i);
}

/// <summary>Sums over everything.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>Values a group adds in the first stage: 16 a thread.</summary>
    private const int TotalChunk = 16 * Launcher.GroupSize;

    /// <summary>result [1] = scale · Σ over n of weights[n] · Σ over p of term[n·p]: a sum per chunk of a sample,
    /// then one group over all chunks.</summary>
    private void Total<TTerm>(int n, int p, TTerm term, Tensor? weights, float scale, Tensor result)
        where TTerm : struct, ITerm
    {
        int chunks = Launcher.GroupsFor(p, TotalChunk);
        using var partial = Rent((long)n * chunks);
        _launcher.Launch(ChunkSum, new ChunkSumArgs<TTerm>(term, p, chunks, partial.View), new Index3D(n * chunks, 1, 1));
        _launcher.Launch(FinishTotal, new FinishTotalArgs(partial.View, n * chunks, chunks, ViewOrEmpty(weights),
            weights is null ? 0 : 1, scale, View(result)), new Index3D(1, 1, 1));
    }

    internal readonly record struct ChunkSumArgs<TTerm>(TTerm Term, int P, int Chunks, ArrayView<float> Partial);

    internal readonly record struct FinishTotalArgs(ArrayView<float> Partial, int Count, int Chunks, ArrayView<float> Weights, int Weighted,
        float Scale, ArrayView<float> Result);

    /// <summary>Group = one chunk of one sample; thread t adds values t, t + 256, … of it.</summary>
    internal static void ChunkSum<TTerm>(ChunkSumArgs<TTerm> a)
        where TTerm : struct, ITerm
    {
        var shared = RowReduction.Shared();
        int n = Grid.IdxX / a.Chunks, first = (Grid.IdxX - (n * a.Chunks)) * TotalChunk;
        int end = a.P - first < TotalChunk ? a.P : first + TotalChunk;
        float sum = 0;
        for (int p = first + Group.IdxX; p < end; p += Launcher.GroupSize)
            sum += a.Term.At((n * a.P) + p);
        sum = RowReduction.Whole.Sum(shared, sum);
        if (Group.IdxX == 0)
            a.Partial[Grid.IdxX] = sum;
    }

    /// <summary>One group; thread t adds chunks t, t + 256, ….</summary>
    internal static void FinishTotal(FinishTotalArgs a)
    {
        var shared = RowReduction.Shared();
        float sum = 0;
        for (int i = Group.IdxX; i < a.Count; i += Launcher.GroupSize)
            sum += a.Weighted != 0 ? a.Partial[i] * a.Weights[i / a.Chunks] : a.Partial[i];
        sum = RowReduction.Whole.Sum(shared, sum);
        if (Group.IdxX == 0)
            a.Result[0] = sum * a.Scale;
    }
}

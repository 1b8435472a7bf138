namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Which values of the matrices the lanes of a warp hold, and in which registers.</summary>
/// <remarks>From the PTX ISA, "Matrix Fragments for mma.m16n8k8", "... for mma.m16n8k16 with floating point type" and "... for mma.m8n8k4
/// with .f64 floating point type", where groupID is the lane divided by 4 and threadID_in_group the remainder; not from the tiles of this
/// project, whose emulation is the other witness.</remarks>
internal sealed class MatrixShape
{
    private readonly ulong _mask;

    private MatrixShape(int m, int n, int k, int valuesOfRegister, ulong mask,
        Func<int, int, int, (int, int)> left, Func<int, int, int, (int, int)> right, Func<int, int, int, (int, int)> sum)
    {
        (M, N, K, ValuesOfRegister, _mask) = (m, n, k, valuesOfRegister, mask);
        LeftPlaces = Places(m, k, left);
        RightPlaces = Places(k, n, right);
        SumPlaces = Places(m, n, sum);
    }

    /// <summary>Rows of the left matrix and of the sums.</summary>
    public int M { get; }

    /// <summary>Columns of the right matrix and of the sums.</summary>
    public int N { get; }

    /// <summary>Columns of the left matrix and rows of the right one.</summary>
    public int K { get; }

    public int ValuesOfRegister { get; }

    public bool IsDouble => M == 8;

    /// <summary>Where in the left matrix, row by row, value i of lane l lies: at 32 i + l.</summary>
    public int[] LeftPlaces { get; }

    /// <summary>The same of the right matrix.</summary>
    public int[] RightPlaces { get; }

    /// <summary>The same of the sums.</summary>
    public int[] SumPlaces { get; }

    /// <summary>A value of a register as a float or a double.</summary>
    public ulong BitsOf(ulong register, int index) => (register << (16 * (ValuesOfRegister - 1 - index))) & _mask;

    /// <summary>The shape of an instruction by its name.</summary>
    public static MatrixShape Of(string code) => code switch
    {
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" => TensorFloat32,
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" => BFloat16,
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64" => Double,
        _ => throw new PtxFaultException("unknown instruction"),
    };

    /// <summary>A tensor core leaves the low 13 bits out.</summary>
    private static MatrixShape TensorFloat32 { get; } = new(16, 8, 8, 1, 0xFFFFE000,
        left: (group, thread, i) => (i is 0 or 2 ? group : group + 8, i < 2 ? thread : thread + 4),
        right: (group, thread, i) => (i == 0 ? thread : thread + 4, group),
        sum: SumPlace);

    /// <summary>Two values a register, the first in the low half.</summary>
    private static MatrixShape BFloat16 { get; } = new(16, 8, 16, 2, 0xFFFF0000,
        left: (group, thread, i) => (i is 0 or 1 or 4 or 5 ? group : group + 8, (2 * thread) + (i & 1) + (i < 4 ? 0 : 8)),
        right: (group, thread, i) => ((2 * thread) + (i & 1) + (i < 2 ? 0 : 8), group),
        sum: SumPlace);

    private static MatrixShape Double { get; } = new(8, 8, 4, 1, ulong.MaxValue,
        left: (group, thread, _) => (group, thread),
        right: (group, thread, _) => (thread, group),
        sum: (group, thread, i) => (group, (2 * thread) + i));

    private static (int, int) SumPlace(int group, int thread, int i) => (i < 2 ? group : group + 8, (2 * thread) + (i & 1));

    private static int[] Places(int rows, int columns, Func<int, int, int, (int Row, int Column)> place)
        => [.. from i in Enumerable.Range(0, rows * columns / Lanes.Count)
               from lane in Enumerable.Range(0, Lanes.Count)
               let at = place(lane >> 2, lane & 3, i)
               select (at.Row * columns) + at.Column];
}

using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>The inner loops of every matrix product: a tile of six rows by a panel of one to four registers.</summary>
/// <remarks>
/// A tile knows no edges: rows and columns past the edge of the matrix are computed into scratch rows that the caller points to.
/// Every value is one chain of multiply-adds in depth order whatever the tile's place or width, so it does not depend on the
/// batch, the thread count or the tiling.
/// </remarks>
internal abstract unsafe class MicroKernel
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 6;

    /// <summary>Upper bound of <see cref="PanelWidth"/> over all widths, for buffers on the stack.</summary>
    public const int MaxPanelWidth = 64;

    /// <summary>The widest kernel that this processor runs at full speed.</summary>
    public static MicroKernel Widest { get; } =
        Vector512.IsHardwareAccelerated ? new MicroKernel<Lanes512, Vector512<float>>()
        : Vector256.IsHardwareAccelerated ? new MicroKernel<Lanes256, Vector256<float>>()
        : new MicroKernel<Lanes128, Vector128<float>>();

    /// <summary>Floats per register.</summary>
    public abstract int Lanes { get; }

    /// <summary>Columns of the widest tile.</summary>
    public abstract int PanelWidth { get; }

    /// <summary>Registers that hold the given number of columns.</summary>
    public int VectorsFor(int columns) => (columns + Lanes - 1) / Lanes;

    /// <summary>output[u][i][j] (+)= sum over taps t, steps k of rows[u, t, i][k] · panel[(t·run + k)·width + j], for tiles u.</summary>
    /// <param name="vectors">Registers per panel row; width = vectors · lanes.</param>
    /// <param name="tiles">Tiles that read the same panel.</param>
    /// <param name="taps">Runs of contiguous depth.</param>
    /// <param name="run">Length of each.</param>
    /// <param name="rows">[tiles, taps, 6] starts of the runs.</param>
    /// <param name="panel">[taps · run, width].</param>
    /// <param name="output">[tiles, 6] starts of the output rows, each width floats.</param>
    /// <param name="accumulate">Adds to the output instead of replacing it.</param>
    /// <param name="ahead">Memory to ask for alongside, see <see cref="GemmAhead"/>.</param>
    public abstract void Dot(int vectors, int tiles, int taps, nint run, float** rows, float* panel, float** output, bool accumulate,
        byte* ahead);

    /// <summary>
    /// output[t·rows + i][j] (+)= sum over p of pairs[p, 0][left + t·step + i] · pairs[p, 1][right + j] for every tile t: a product that
    /// reduces over rows.
    /// </summary>
    /// <param name="vectors">Registers per row of the right matrix; width = vectors · lanes.</param>
    /// <param name="rows">Rows of each tile, 1 to 6.</param>
    /// <param name="tiles">Tiles below each other.</param>
    /// <param name="count">Rows to reduce over.</param>
    /// <param name="pairs">[count, 2] rows of the left matrix and of the right one, of which width neighbours are read.</param>
    /// <param name="left">The first tile's place in a row of the left matrix, in floats.</param>
    /// <param name="step">Floats there from one tile to the next.</param>
    /// <param name="right">The tiles' place in a row of the right matrix.</param>
    /// <param name="output">[tiles · rows, width], written.</param>
    /// <param name="stride">Floats from one row of the output to the next.</param>
    /// <param name="accumulate">Adds to the output instead of replacing it.</param>
    /// <param name="ahead">Memory to ask for alongside, see <see cref="GemmAhead"/>.</param>
    public abstract void Outer(int vectors, int rows, int tiles, int count, float** pairs, nint left, nint step, nint right, float* output,
        nint stride, bool accumulate, byte* ahead);

    /// <summary>row[j] = activation(row[j] + bias[j] + residual[j]) over whole registers.</summary>
    /// <param name="vectors">Registers in the row.</param>
    /// <param name="row">Changed in place.</param>
    /// <param name="bias">Null for none.</param>
    /// <param name="residual">Null for none.</param>
    /// <param name="activation">Applied last.</param>
    public abstract void Finish(int vectors, float* row, float* bias, float* residual, Activation activation);
}

/// <summary>The micro-kernels of one register width.</summary>
internal sealed unsafe partial class MicroKernel<L, V> : MicroKernel
    where L : struct, ILanes<V>
    where V : struct
{
    public override int Lanes => L.Count;

    public override int PanelWidth => L.Count * L.TileVectors;

    public override void Dot(int vectors, int tiles, int taps, nint run, float** rows, float* panel, float** output, bool accumulate,
        byte* ahead)
    {
        switch (vectors)
        {
            case 1: Dot<OneVector>(tiles, taps, run, rows, panel, output, accumulate, ahead); break;
            case 2: Dot<TwoVectors>(tiles, taps, run, rows, panel, output, accumulate, ahead); break;
            case 3: Dot<ThreeVectors>(tiles, taps, run, rows, panel, output, accumulate, ahead); break;
            default: Dot<FourVectors>(tiles, taps, run, rows, panel, output, accumulate, ahead); break;
        }
    }

    public override void Outer(int vectors, int rows, int tiles, int count, float** pairs, nint left, nint step, nint right,
        float* output, nint stride, bool accumulate, byte* ahead)
    {
        switch (vectors)
        {
            case 1: Outer<OneVector>(rows, tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            case 2: Outer<TwoVectors>(rows, tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            case 3: Outer<ThreeVectors>(rows, tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            default: Outer<FourVectors>(rows, tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
        }
    }

    public override void Finish(int vectors, float* row, float* bias, float* residual, Activation activation)
    {
        for (int j = 0; j < vectors * L.Count; j += L.Count)
        {
            V value = L.Load(row + j);
            if (bias is not null)
            {
                value = L.Add(value, L.Load(bias + j));
            }

            if (residual is not null)
            {
                value = L.Add(value, L.Load(residual + j));
            }

            value = activation switch
            {
                Activation.Relu => L.Relu(value),
                Activation.Silu => L.Silu(value),
                _ => value,
            };
            L.Store(value, row + j);
        }
    }

    private static void Outer<N>(int rows, int tiles, int count, float** pairs, nint left, nint step, nint right, float* output,
        nint stride, bool accumulate, byte* ahead)
        where N : struct, IVectorCount
    {
        switch (rows)
        {
            case 1: Outer<N, OneRow>(tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            case 2: Outer<N, TwoRows>(tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            case 3: Outer<N, ThreeRows>(tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            case 4: Outer<N, FourRows>(tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            case 5: Outer<N, FiveRows>(tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
            default: Outer<N, SixRows>(tiles, count, pairs, left, step, right, output, stride, accumulate, ahead); break;
        }
    }

    /// <summary>Writes one row of sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<N>(float* output, bool accumulate, V s0, V s1, V s2, V s3)
        where N : struct, IVectorCount
    {
        Write(output, accumulate, s0);
        if (N.Count > 1)
        {
            Write(output + L.Count, accumulate, s1);
        }

        if (N.Count > 2)
        {
            Write(output + (2 * L.Count), accumulate, s2);
        }

        if (N.Count > 3)
        {
            Write(output + (3 * L.Count), accumulate, s3);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write(float* output, bool accumulate, V sum) =>
        L.Store(accumulate ? L.Add(L.Load(output), sum) : sum, output);
}

using ILGPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Diffusion.Gpu.Kernels;

/// <summary>Ways to a matrix product in double precision.</summary>
internal enum MatrixStrategy
{
    /// <summary><see cref="MatrixTile"/>.</summary>
    Portable,

    /// <summary><see cref="MatrixTensorTile"/> by matrix instructions.</summary>
    TensorCores,

    /// <summary>The same, its instructions emulated: tests alone.</summary>
    Emulated,
}

internal sealed partial class GpuBackend
{
    /// <summary>Values that one group adds up: 16 a thread.</summary>
    private const int MatrixChunk = 16 * Launcher.GroupSize;

    /// <remarks>The makers' tables: of NVIDIA's architectures 6.0, 7.0, 8.0, 9.0 and 10.0 run every other operation in double precision,
    /// the others one in 32 or 64. OpenCL does not tell: processors are half as fast, of graphics cards the worst is assumed.</remarks>
    public override double Float64Rate => _accelerator switch
    {
        CudaAccelerator cuda => cuda.Architecture is { Minor: 0, Major: 6 or 7 or 8 or 9 or 10 } ? 1.0 / 2 : 1.0 / 64,
        CLAccelerator cl when !cl.Capabilities.Float64 => 0,
        CLAccelerator cl => cl.DeviceType == CLDeviceType.CL_DEVICE_TYPE_CPU ? 1.0 / 2 : 1.0 / 64,
        _ => 1.0 / 2,
    };

    /// <summary>How products in double precision are made: by the device, or as tests set it.</summary>
    /// <remarks>NVIDIA's whitepapers: A100, H100 and B200 double the rate of fused multiply-adds by matrix instructions or keep it; the
    /// chips
    /// between them (8.6, 8.9, 12.0) run matrix instructions in double precision at 1/64 of the single-precision rate like all
    /// others.</remarks>
    internal MatrixStrategy MatrixStrategy { get; set; }

    private MatrixStrategy FastestMatrixStrategy(bool hasRunner)
        => _accelerator is CudaAccelerator { Architecture: { Minor: 0, Major: 8 or 9 or 10 } }
            || (hasRunner && Device.Precision != Precision.Float32)
            ? MatrixStrategy.TensorCores : MatrixStrategy.Portable;

    public override void MatrixProduct(in MatrixProductShape s, Matrix a, Matrix b, Matrix? addend, Matrix c)
    {
        var arguments = new MatrixTileArguments
        {
            A = View(a),
            B = View(b),
            Addend = View(addend ?? c),
            C = View(c),
            PitchA = a.Columns,
            PitchB = b.Columns,
            PitchC = c.Columns,
        };
        if (s.TransposeA)
            MatrixProduct<RowsAreDepth>(s, arguments);
        else
            MatrixProduct<ColumnsAreDepth>(s, arguments);
    }

    private void MatrixProduct<TOrderA>(in MatrixProductShape s, MatrixTileArguments arguments)
        where TOrderA : struct, IOperandOrder
    {
        if (s.TransposeB)
            MatrixProduct<TOrderA, ColumnsAreDepth>(s, arguments);
        else
            MatrixProduct<TOrderA, RowsAreDepth>(s, arguments);
    }

    /// <param name="s">Extents and factors.</param>
    /// <param name="arguments">Views and pitches; the rest is filled in.</param>
    private void MatrixProduct<TOrderA, TOrderB>(in MatrixProductShape s, MatrixTileArguments arguments)
        where TOrderA : struct, IOperandOrder
        where TOrderB : struct, IOperandOrder
    {
        int columnTiles = s.Symmetric ? MatrixTile.EvenTiles(s.N) / 2 : MatrixTile.Tiles(s.N);
        int rowTiles = s.Symmetric ? MatrixTile.EvenTiles(s.M) + 1 : MatrixTile.Tiles(s.M);
        (arguments.M, arguments.N, arguments.K) = (s.M, s.N, s.K);
        (arguments.Alpha, arguments.Beta, arguments.Gamma) = (s.Alpha, s.Beta, s.Gamma);
        (arguments.ColumnTiles, arguments.Symmetric) = (columnTiles, s.Symmetric ? 1 : 0);
        var groups = new Index3D(checked(rowTiles * columnTiles), 1, 1);
        if (MatrixStrategy == MatrixStrategy.Portable)
            _launcher.Launch(MatrixTile.Multiply<TOrderA, TOrderB>, arguments, groups, MatrixTile.Threads);
        else if (MatrixStrategy == MatrixStrategy.TensorCores)
            _launcher.Launch(MatrixTensorTile.Multiply<CudaDoubleTile, TOrderA, TOrderB>, arguments, groups, MatrixTile.Threads);
        else
            _launcher.Launch(MatrixTensorTile.Multiply<EmulatedDoubleTile, TOrderA, TOrderB>, arguments, groups, MatrixTile.Threads);
    }

    /// <remarks>Per block of 64 columns: the diagonal block in one group, the rows below it in many, then one symmetric product that
    /// subtracts theirs from what is left.</remarks>
    public override void MatrixCholesky(Matrix a)
    {
        int n = a.Rows;
        var values = View(a);
        for (int first = 0; first < n; first += MatrixCholeskyBlock.Side)
        {
            int side = Math.Min(MatrixCholeskyBlock.Side, n - first), end = first + side, below = n - end;
            var arguments = new MatrixCholeskyArguments(values, n, first, side);
            _launcher.Launch(MatrixCholeskyBlock.Factor, arguments, new Index3D(1, 1, 1));
            if (below == 0)
                break;
            _launcher.Launch(MatrixCholeskyBlock.Solve, arguments, new Index3D(Launcher.GroupsFor(below, MatrixCholeskyBlock.Rows), 1, 1));
            var rows = values.SubView(((long)end * n) + first, ((long)below * n) - first);
            var rest = values.SubView(((long)end * n) + end, ((long)below * n) - end);
            MatrixProduct<ColumnsAreDepth, ColumnsAreDepth>(new MatrixProductShape(below, below, side, false, true, -1, 1, 0, true),
                new MatrixTileArguments { A = rows, B = rows, Addend = rest, C = rest, PitchA = n, PitchB = n, PitchC = n });
        }
        _launcher.ForEach(a.Count, new MatrixClearAboveKernel(values, n));
    }

    public override void MatrixSum(Matrix a, Matrix? b, long count, int step, Matrix sum)
    {
        int groups = Launcher.GroupsFor(count, MatrixChunk);
        using var partial = Rent(2L * groups);
        var sums = partial.View.Cast<double>();
        _launcher.Launch(MatrixSum, new MatrixSumArgs(View(a), View(b ?? a), b is null ? 0 : 1, checked((int)count), step, MatrixChunk,
            sums), new Index3D(groups, 1, 1));
        _launcher.Launch(MatrixSum, new MatrixSumArgs(sums, sums, 0, groups, 1, groups, View(sum)), new Index3D(1, 1, 1));
    }

    public override void MatrixWiden(Tensor source, long firstSource, long first, long count, Matrix target)
        => _launcher.ForEach(count, new MatrixWidenKernel(View(source).SubView(firstSource, count), View(target).SubView(first, count)));

    public override void MatrixRound(Matrix source, double factor, Tensor target)
        => _launcher.ForEach(source.Count, new MatrixRoundKernel(View(source), factor, View(target)));

    private static ArrayView<double> View(Matrix matrix) => View(matrix.Words).Cast<double>();

    internal readonly record struct MatrixSumArgs(ArrayView<double> A, ArrayView<double> B, int Product, int Count, int Step, int Chunk,
        ArrayView<double> Sums);

    /// <summary>Group = one chunk; thread t adds its values t, t + 256, … and a tree adds the threads. Shared: 2 KB.</summary>
    internal static void MatrixSum(MatrixSumArgs s)
    {
        var shared = SharedMemory.Allocate<double>(Launcher.GroupSize);
        int thread = Group.IdxX, first = Grid.IdxX * s.Chunk;
        int end = s.Count - first < s.Chunk ? s.Count : first + s.Chunk;
        double sum = 0;
        for (int i = first + thread; i < end; i += Launcher.GroupSize)
        {
            double value = s.A[i * s.Step];
            sum += s.Product != 0 ? value * s.B[i * s.Step] : value;
        }
        shared[thread] = sum;
        Group.Barrier();
        for (int half = Launcher.GroupSize >> 1; half > 0; half >>= 1)
        {
            if (thread < half)
                shared[thread] += shared[thread + half];
            Group.Barrier();
        }
        if (thread == 0)
            s.Sums[Grid.IdxX] = shared[0];
    }

    /// <summary>Thread = one value; those above the diagonal become 0.</summary>
    internal readonly struct MatrixClearAboveKernel(ArrayView<double> values, int n) : IElementKernel
    {
        public void Run(int i)
        {
            int row = i / n;
            if (i - (row * n) > row)
                values[i] = 0;
        }
    }

    internal readonly struct MatrixWidenKernel(ArrayView<float> source, ArrayView<double> target) : IElementKernel
    {
        public void Run(int i) => target[i] = source[i];
    }

    internal readonly struct MatrixRoundKernel(ArrayView<double> source, double factor, ArrayView<float> target) : IElementKernel
    {
        public void Run(int i) => target[i] = (float)(source[i] * factor);
    }
}

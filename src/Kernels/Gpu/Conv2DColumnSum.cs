using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Sums over rows in two passes: of the gradient of a bias, and of the parts of a split sum.</summary>
internal sealed partial class GpuBackend
{
    private const int ColumnsOfGroup = 16;
    private const int RowLanes = 4;

    /// <summary>Parts that the rows are split into: they fill the largest devices, and their own sum is short.</summary>
    private const int RowParts = 256;

    public override void ColumnSum(int rows, int columns, Tensor x, GradientTarget sum)
    {
        if (sum.Tensor is not null)
            SumRows(rows, columns, View(x), To(sum));
    }

    private void SumRows(int rows, int columns, ArrayView<float> x, Target sum)
    {
        int rowsOfPart = Math.Max(8 * RowLanes, (rows + RowParts - 1) / RowParts);
        int parts = (rows + rowsOfPart - 1) / rowsOfPart;
        int groups = (columns + ColumnsOfGroup - 1) / ColumnsOfGroup;
        if (parts == 1)
        {
            _launcher.Launch(SumColumns, new ColumnSumArguments { X = x, Sum = sum, Rows = rows, Columns = columns, RowsOfPart = rows },
                new Index3D(groups, 1, 1), ColumnsOfGroup * RowLanes);
            return;
        }
        using var partial = Rent((long)parts * columns);
        _launcher.Launch(SumColumns,
            new ColumnSumArguments { X = x, Sum = new Target(partial.View, false),
                Rows = rows, Columns = columns, RowsOfPart = rowsOfPart },
            new Index3D(groups, parts, 1), ColumnsOfGroup * RowLanes);
        _launcher.Launch(SumColumns,
            new ColumnSumArguments { X = partial.View, Sum = sum, Rows = parts, Columns = columns, RowsOfPart = parts },
            new Index3D(groups, 1, 1), ColumnsOfGroup * RowLanes);
    }

    /// <summary>
    /// Group (i, p) sums 16 columns over the rows of part p: thread t takes column t % 16 of rows t / 16, t / 16 + 4, …, as four sums that
    /// are in flight together; then the four lanes are added in order through 256 bytes of shared memory. One pass over x.
    /// </summary>
    internal static void SumColumns(ColumnSumArguments a)
    {
        var shared = SharedMemory.Allocate<float>(ColumnsOfGroup * RowLanes);
        int thread = Group.IdxX;
        int column = (Grid.IdxX * ColumnsOfGroup) + (thread & 15);
        int row = (Grid.IdxY * a.RowsOfPart) + (thread >> 4);
        int end = Math.Min(a.Rows, (Grid.IdxY + 1) * a.RowsOfPart);
        float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
        if (column < a.Columns)
        {
            int offset = (row * a.Columns) + column, step = RowLanes * a.Columns;
            for (; row + (3 * RowLanes) < end; row += 4 * RowLanes)
            {
                sum0 += a.X[offset];
                sum1 += a.X[offset + step];
                sum2 += a.X[offset + (2 * step)];
                sum3 += a.X[offset + (3 * step)];
                offset += 4 * step;
            }
            for (; row < end; row += RowLanes)
            {
                sum0 += a.X[offset];
                offset += step;
            }
        }
        shared[thread] = sum0 + sum1 + (sum2 + sum3);
        Group.Barrier();
        if (thread < ColumnsOfGroup && column < a.Columns)
        {
            a.Sum.Store((Grid.IdxY * a.Columns) + column,
                shared[thread] + shared[thread + 16] + (shared[thread + 32] + shared[thread + 48]));
        }
    }

    internal struct ColumnSumArguments
    {
        public ArrayView<float> X;
        public Target Sum;
        public int Rows;
        public int Columns;
        public int RowsOfPart;
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void ConcatForward(int rows, int columnsA, int columnsB, Tensor a, Tensor b, Tensor y)
        => _launcher.ForEach(y.Count, new ConcatForwardKernel(View(a), View(b), columnsA, columnsB, View(y)));

    public override void ConcatBackward(int rows, int columnsA, int columnsB, Tensor dy, GradientTarget da, GradientTarget db)
    {
        if (da.Tensor is not null)
            _launcher.ForEach(da.Tensor.Count, new TakeColumnsKernel(View(dy), columnsA + columnsB, 0, columnsA, To(da)));
        if (db.Tensor is not null)
            _launcher.ForEach(db.Tensor.Count, new TakeColumnsKernel(View(dy), columnsA + columnsB, columnsA, columnsB, To(db)));
    }

    /// <summary>Thread = one value of y.</summary>
    internal readonly struct ConcatForwardKernel(ArrayView<float> a, ArrayView<float> b, int columnsA, int columnsB, ArrayView<float> y)
        : IElementKernel
    {
        public void Run(int i)
        {
            int row = i / (columnsA + columnsB), column = i - (row * (columnsA + columnsB));
            y[i] = column < columnsA ? a[(row * columnsA) + column] : b[(row * columnsB) + column - columnsA];
        }
    }

    /// <summary>Thread = one value of the part [rows, count] that begins at column <paramref name="first"/>.</summary>
    internal readonly struct TakeColumnsKernel(ArrayView<float> dy, int columns, int first, int count, Target part) : IElementKernel
    {
        public void Run(int i)
        {
            int row = i / count;
            part.Store(i, dy[(row * columns) + first + i - (row * count)]);
        }
    }
}

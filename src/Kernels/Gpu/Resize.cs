using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Resize(int n, int c, ResizeTaps vertical, ResizeTaps horizontal, Tensor x, GradientTarget y)
    {
        if (y.Tensor is null)
            return;
        var rows = new TapTable(Table(Flatten(vertical)), vertical.Inputs, vertical.Outputs, vertical.Width);
        var columns = new TapTable(Table(Flatten(horizontal)), horizontal.Inputs, horizontal.Outputs, horizontal.Width);
        _launcher.ForEach(y.Tensor.Count, new ResizeKernel(View(x), rows, columns, c, To(y)));
    }

    /// <summary>Per output: start, count, weights. Both integers are small enough to be exact floats.</summary>
    private static float[] Flatten(ResizeTaps taps)
    {
        int stride = taps.Width + 2;
        var table = new float[taps.Outputs * stride];
        for (int i = 0; i < taps.Outputs; i++)
        {
            table[i * stride] = taps.Starts[i];
            table[(i * stride) + 1] = taps.Counts[i];
            taps.Weights.AsSpan(i * taps.Width, taps.Width).CopyTo(table.AsSpan((i * stride) + 2));
        }
        return table;
    }

    internal readonly struct TapTable(ArrayView<float> table, int inputs, int outputs, int width)
    {
        public int Inputs => inputs;

        public int Outputs => outputs;

        public int Start(int output) => (int)table[output * (width + 2)];

        public int Count(int output) => (int)table[(output * (width + 2)) + 1];

        public float Weight(int output, int tap) => table[(output * (width + 2)) + 2 + tap];
    }

    /// <summary>Thread = one value of y: a weighted sum of rows, each a weighted sum of pixels; one pass over x,
    /// without a middle image.</summary>
    internal readonly struct ResizeKernel(ArrayView<float> x, TapTable rows, TapTable columns, int c, Target y) : IElementKernel
    {
        public void Run(int i)
        {
            var at = new Pixel(i, rows.Outputs, columns.Outputs, c);
            int first = ((((at.N * rows.Inputs) + rows.Start(at.H)) * columns.Inputs) + columns.Start(at.W)) * c + at.C;
            int countRows = rows.Count(at.H), countColumns = columns.Count(at.W);
            float sum = 0;
            for (int row = 0; row < countRows; row++)
            {
                float inRow = 0;
                for (int column = 0; column < countColumns; column++)
                    inRow += columns.Weight(at.W, column) * x[first + (((row * columns.Inputs) + column) * c)];
                sum += rows.Weight(at.H, row) * inRow;
            }
            y.Store(i, sum);
        }
    }
}

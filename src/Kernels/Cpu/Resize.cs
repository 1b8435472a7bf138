namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void Resize(int n, int c, ResizeTaps vertical, ResizeTaps horizontal, Tensor x, GradientTarget y)
    {
        if (y.Tensor is null)
            return;
        float* px = Pointer(x), py = Pointer(y.Tensor);
        bool accumulate = y.Accumulate;
        int inputRow = horizontal.Inputs * c, outputRow = horizontal.Outputs * c;
        new RowBlocks(new RowShape(n, vertical.Outputs, outputRow)).Run((_, sample, first, end) =>
        {
            float* row = Scratch.ForItem(inputRow);
            for (int target = first; target < end; target++)
            {
                Blend(vertical, target - (sample * vertical.Outputs), px + ((long)sample * vertical.Inputs * inputRow), inputRow, row,
                    accumulate: false);
                for (int i = 0; i < horizontal.Outputs; i++)
                    Blend(horizontal, i, row, c, py + ((long)target * outputRow) + (i * c), accumulate);
            }
        });
    }

    /// <summary>One output of an axis: the weighted sum of the rows (or pixels) of x that it reaches.</summary>
    private static void Blend(ResizeTaps taps, int output, float* x, int length, float* y, bool accumulate)
    {
        int count = taps.Counts[output], at = output * taps.Width;
        float* start = x + ((long)taps.Starts[output] * length);
        if (length < Simd.Width / 2)
        {
            // The pixels of an image of few channels.
            for (int i = 0; i < length; i++)
            {
                float sum = 0;
                for (int t = 0; t < count; t++)
                    sum = MathF.FusedMultiplyAdd(taps.Weights[at + t], start[(t * length) + i], sum);
                y[i] = accumulate ? y[i] + sum : sum;
            }
            return;
        }
        for (int i = 0; i < length; i += Simd.Width)
        {
            var sum = Lanes.Zero;
            for (int t = 0; t < count; t++)
                sum = Simd.MultiplyAdd(Simd.Splat(taps.Weights[at + t]), Simd.Load(start + ((long)t * length) + i, length - i), sum);
            Simd.Store(sum, y + i, length - i, accumulate);
        }
    }
}

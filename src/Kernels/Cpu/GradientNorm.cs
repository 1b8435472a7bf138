namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void SumOfSquares(Tensor x, Tensor result)
    {
        float* px = Pointer(x);
        long count = x.Count;
        int blocks = (int)((count + SquareSum.Block - 1) / SquareSum.Block);
        double* sums = Scratch.ForOp<double>(blocks);
        ForkJoinPool.Run(blocks, block =>
        {
            long first = (long)block * SquareSum.Block;
            sums[block] = SquareSum.Of(px + first, null, Math.Min(SquareSum.Block, count - first));
        });
        double sum = 0;
        for (int block = 0; block < blocks; block++)
            sum += sums[block];
        Pointer(result)[0] = (float)sum;
    }
}

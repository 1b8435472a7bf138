namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    /// <summary>Values of a work item.</summary>
    private const long FillGrain = 1 << 17;

    public override void Fill(Tensor y, float value)
    {
        float* py = Pointer(y);
        ForkJoinPool.RunRanges(y.Count, FillGrain, (first, end) => new Span<float>(py + first, (int)(end - first)).Fill(value));
    }
}

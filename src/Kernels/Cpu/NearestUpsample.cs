namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void NearestUpsampleForward(int n, int h, int w, int c, Tensor x, Tensor y)
    {
        float* px = Pointer(x), py = Pointer(y);
        new RowBlocks(new RowShape(n, h, 4 * w * c)).Run((_, _, first, end) =>
        {
            for (long pixel = (long)first * w; pixel < (long)end * w; pixel++)
            {
                float* one = px + (pixel * c);
                float* top = UpsampledBlock(py, pixel, w, c), bottom = top + (2L * w * c);
                for (int i = 0; i < c; i += Simd.Width)
                {
                    var v = Simd.Load(one + i, c - i);
                    Simd.Store(v, top + i, c - i);
                    Simd.Store(v, top + c + i, c - i);
                    Simd.Store(v, bottom + i, c - i);
                    Simd.Store(v, bottom + c + i, c - i);
                }
            }
        });
    }

    public override void NearestUpsampleBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        float* py = Pointer(dy), px = Pointer(dx.Tensor);
        bool accumulate = dx.Accumulate;
        new RowBlocks(new RowShape(n, h, 4 * w * c)).Run((_, _, first, end) =>
        {
            for (long pixel = (long)first * w; pixel < (long)end * w; pixel++)
            {
                float* one = px + (pixel * c);
                float* top = UpsampledBlock(py, pixel, w, c), bottom = top + (2L * w * c);
                for (int i = 0; i < c; i += Simd.Width)
                {
                    int left = c - i;
                    var v = Simd.Load(top + i, left) + Simd.Load(top + c + i, left)
                        + (Simd.Load(bottom + i, left) + Simd.Load(bottom + c + i, left));
                    Simd.Store(v, one + i, left, accumulate);
                }
            }
        });
    }

    /// <summary>The upper left of the four pixels that a pixel becomes.</summary>
    private static float* UpsampledBlock(float* y, long pixel, int w, int c) => y + (((pixel / w * 4 * w) + (pixel % w * 2)) * c);
}

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void SpaceToDepthForward(int n, int h, int w, int c, Tensor x, Tensor y)
    {
        float* px = Pointer(x), py = Pointer(y);
        new RowBlocks(new RowShape(n, h / 2, 2 * w * c)).Run((_, _, first, end) =>
        {
            for (long row = first; row < end; row++)
                for (int column = 0; column < w / 2; column++)
                {
                    float* top = px + (((2 * row * w) + (2 * column)) * c), bottom = top + ((long)w * c);
                    float* packed = py + (((row * (w / 2)) + column) * 4 * c);
                    for (int i = 0; i < c; i++)
                    {
                        packed[4 * i] = top[i];
                        packed[(4 * i) + 1] = top[c + i];
                        packed[(4 * i) + 2] = bottom[i];
                        packed[(4 * i) + 3] = bottom[c + i];
                    }
                }
        });
    }

    public override void SpaceToDepthBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx)
    {
        if (dx.Tensor is null)
            return;
        float* py = Pointer(dy), px = Pointer(dx.Tensor);
        bool accumulate = dx.Accumulate;
        new RowBlocks(new RowShape(n, h / 2, 2 * w * c)).Run((_, _, first, end) =>
        {
            for (long row = first; row < end; row++)
                for (int column = 0; column < w / 2; column++)
                {
                    float* top = px + (((2 * row * w) + (2 * column)) * c), bottom = top + ((long)w * c);
                    float* packed = py + (((row * (w / 2)) + column) * 4 * c);
                    for (int i = 0; i < c; i++)
                    {
                        top[i] = (accumulate ? top[i] : 0) + packed[4 * i];
                        top[c + i] = (accumulate ? top[c + i] : 0) + packed[(4 * i) + 1];
                        bottom[i] = (accumulate ? bottom[i] : 0) + packed[(4 * i) + 2];
                        bottom[c + i] = (accumulate ? bottom[c + i] : 0) + packed[(4 * i) + 3];
                    }
                }
        });
    }
}

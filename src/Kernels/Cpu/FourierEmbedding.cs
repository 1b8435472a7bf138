namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void FourierEmbeddingForward(int n, int half, Tensor times, Tensor weights, Tensor y)
    {
        float* t = Pointer(times), w = Pointer(weights);
        for (int sample = 0; sample < n; sample++)
        {
            float* row = Pointer(y) + ((long)sample * (1 + (2 * half)));
            row[0] = t[sample];
            for (int i = 0; i < half; i++)
            {
                var (sin, cos) = Math.SinCos(2 * Math.PI * t[sample] * w[i]);
                row[1 + i] = (float)sin;
                row[1 + half + i] = (float)cos;
            }
        }
    }

    public override void FourierEmbeddingBackward(int n, int half, Tensor times, Tensor weights, Tensor dy, GradientTarget dWeights)
    {
        if (dWeights.Tensor is null)
            return;
        float* t = Pointer(times), w = Pointer(weights), dw = Pointer(dWeights.Tensor);
        for (int i = 0; i < half; i++)
        {
            double sum = 0;
            for (int sample = 0; sample < n; sample++)
            {
                float* row = Pointer(dy) + ((long)sample * (1 + (2 * half))) + 1;
                double turn = 2 * Math.PI * t[sample];
                var (sin, cos) = Math.SinCos(turn * w[i]);
                sum += turn * ((row[i] * cos) - (row[half + i] * sin));
            }
            dw[i] = (float)(dWeights.Accumulate ? dw[i] + sum : sum);
        }
    }
}

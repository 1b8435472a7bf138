namespace Diffusion.Gpu.Kernels;

internal sealed partial class CpuBackend
{
    public override void Dropout(float rate, in RandomKey key, Tensor x, GradientTarget y)
        => PhiloxMap.Run(new Drop(rate, 1 / (1 - rate)), key, x, y);

    private readonly struct Drop(float rate, float scale) : IWordMap
    {
        public float Apply(uint word, float value) => Philox.ToUniform(word) >= rate ? value * scale : 0;
    }
}

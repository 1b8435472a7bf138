using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void Dropout(float rate, in RandomKey key, Tensor x, GradientTarget y)
    {
        if (y.Tensor is null)
            return;
        int n = x.Shape[0], p = (int)(x.Count / n), blocks = (p + 3) / 4;
        _launcher.ForEach((long)n * blocks, new DropoutKernel(key, rate, p, blocks, View(x), To(y)));
    }

    /// <summary>Thread = one Philox block, four neighbouring values of a sample.</summary>
    internal readonly struct DropoutKernel(RandomKey key, float rate, int p, int blocks, ArrayView<float> x, Target y) : IElementKernel
    {
        public void Run(int i)
        {
            int n = i / blocks, first = (i - (n * blocks)) << 2, at = (n * p) + first;
            var words = Philox.Block(key, (uint)n, (uint)(first >> 2));
            Keep(at, words.A);
            if (first + 1 < p)
                Keep(at + 1, words.B);
            if (first + 2 < p)
                Keep(at + 2, words.C);
            if (first + 3 < p)
                Keep(at + 3, words.D);
        }

        private void Keep(int at, uint word) => y.Store(at, Philox.ToUniform(word) >= rate ? x[at] / (1 - rate) : 0);
    }
}

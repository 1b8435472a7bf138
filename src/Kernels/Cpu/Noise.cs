namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void FillNormal(in RandomKey key, Tensor y)
        => PhiloxMap.Run(default(NormalNumber), key, null, new GradientTarget(y, false));

    public override void FillUniform(in RandomKey key, Tensor y)
        => PhiloxMap.Run(default(UniformNumber), key, null, new GradientTarget(y, false));

    public override void AddPerChannel(in RowShape s, Tensor x, Tensor offset, float strength, Tensor y)
    {
        int channels = s.C;
        float* px = Pointer(x), po = Pointer(offset), py = Pointer(y);
        var factor = Simd.Splat(strength);
        new RowBlocks(s).Run((_, sample, first, end) =>
        {
            float* add = po + ((long)sample * channels);
            for (long row = first; row < end; row++)
                for (int c = 0; c < channels; c += Simd.Width)
                {
                    long at = (row * channels) + c;
                    var v = Simd.MultiplyAdd(factor, Simd.Load(add + c, channels - c), Simd.Load(px + at, channels - c));
                    Simd.Store(v, py + at, channels - c);
                }
        });
    }

    private readonly struct NormalNumber : IWordMap
    {
        public float Apply(uint word, float value) => NormalTable.ToNormal(word);
    }

    private readonly struct UniformNumber : IWordMap
    {
        public float Apply(uint word, float value) => Philox.ToUniform(word);
    }
}

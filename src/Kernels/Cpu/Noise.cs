using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

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

    /// <summary><see cref="Philox.ToUniform"/> of sixteen words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes Uniform(Vector512<uint> words)
        => Vector512.ConvertToSingle(Vector512.ShiftRightLogical(words, 8).AsInt32()) * Simd.Splat(1f / (1 << 24));

    private readonly struct NormalNumber : IWordMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Vector512<uint> words, Lanes values)
        {
            uint* word = stackalloc uint[Simd.Width];
            float* number = stackalloc float[Simd.Width];
            words.Store(word);
            for (int i = 0; i < Simd.Width; i++)
                number[i] = NormalTable.ToNormal(word[i]);
            return Vector512.Load(number);
        }
    }

    private readonly struct UniformNumber : IWordMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Vector512<uint> words, Lanes values) => Uniform(words);
    }
}

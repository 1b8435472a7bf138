using System.Numerics;
using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void FillNormal(in RandomKey key, Tensor y) => FillRandom(key, y, new NormalNumbers(NormalCoefficients));

    public override void FillUniform(in RandomKey key, Tensor y) => FillRandom(key, y, default(UniformNumbers));

    public override void AddPerChannel(in RowShape s, Tensor x, Tensor offset, float strength, Tensor y)
        => _launcher.ForEach(x.Count, new AddPerChannelKernel(View(x), View(offset), strength, s.P * s.C, s.C, View(y)));

    private void FillRandom<TNumbers>(in RandomKey key, Tensor y, TNumbers numbers)
        where TNumbers : struct, INumbers
    {
        int n = y.Shape[0], p = (int)(y.Count / n), blocks = (p + 3) / 4;
        _launcher.ForEach((long)n * blocks, new FillRandomKernel<TNumbers>(key, numbers, p, blocks, View(y)));
    }

    /// <summary>How a random word becomes a number.</summary>
    internal interface INumbers
    {
        float From(uint word);
    }

    internal readonly struct UniformNumbers : INumbers
    {
        public float From(uint word) => Philox.ToUniform(word);
    }

    internal readonly struct NormalNumbers(ArrayView<int> coefficients) : INumbers
    {
        public float From(uint word)
        {
            uint odd = NormalTable.Odd(word);
            int zeros = BitOperations.LeadingZeroCount(odd);
            int at = NormalTable.Terms * NormalTable.Segment(odd << zeros, zeros);
            return NormalTable.Evaluate(word, odd << zeros, coefficients[at], coefficients[at + 1], coefficients[at + 2],
                coefficients[at + 3]);
        }
    }

    /// <summary>Thread = one Philox block, four neighbouring values of a sample.</summary>
    internal readonly struct FillRandomKernel<TNumbers>(RandomKey key, TNumbers numbers, int p, int blocks, ArrayView<float> y)
        : IElementKernel
        where TNumbers : struct, INumbers
    {
        public void Run(int i)
        {
            int n = i / blocks, first = (i - (n * blocks)) << 2, at = (n * p) + first;
            var words = Philox.Block(key, (uint)n, (uint)(first >> 2));
            y[at] = numbers.From(words.A);
            if (first + 1 < p)
                y[at + 1] = numbers.From(words.B);
            if (first + 2 < p)
                y[at + 2] = numbers.From(words.C);
            if (first + 3 < p)
                y[at + 3] = numbers.From(words.D);
        }
    }

    internal readonly struct AddPerChannelKernel(ArrayView<float> x, ArrayView<float> offset, float strength, int perSample, int c,
        ArrayView<float> y) : IElementKernel
    {
        public void Run(int i) => y[i] = x[i] + (strength * offset[(i / perSample * c) + (i % c)]);
    }
}

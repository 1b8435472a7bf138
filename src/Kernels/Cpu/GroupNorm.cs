using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void GroupNormForward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor bias, float epsilon, Tensor y,
        Tensor statistics)
    {
        var shape = s;
        int channels = s.C, width = channels / groups, padded = Simd.Padded(channels);
        float* px = Pointer(x), py = Pointer(y), pg = Pointer(gain), pb = Pointer(bias), ps = Pointer(statistics);
        ForkJoinPool.Run(s.N, sample =>
        {
            float* image = px + ((long)sample * shape.P * channels), target = py + ((long)sample * shape.P * channels);
            float* mean = Scratch.ForItem(4L * padded), factor = mean + padded, stats = ps + (2L * sample * groups);
            double* totals = (double*)(factor + padded);
            double count = (double)width * shape.P;
            ChannelTotals(default(Identity), shape, image, null, null, totals);
            for (int group = 0; group < groups; group++)
                new Span<float>(mean + (group * width), width).Fill((float)(Group(totals, group, width) / count));
            // The spread is taken around the mean: a large mean would cancel in Σ x².
            ChannelTotals(default(SquaredDistance), shape, image, null, mean, totals);
            for (int group = 0; group < groups; group++)
            {
                stats[2 * group] = mean[group * width];
                stats[(2 * group) + 1] = (float)(1 / Math.Sqrt((Group(totals, group, width) / count) + epsilon));
                for (int c = group * width; c < (group + 1) * width; c++)
                    factor[c] = stats[(2 * group) + 1] * pg[c];
            }
            for (int p = 0; p < shape.P; p++, image += channels, target += channels)
                for (int c = 0; c < channels; c += Simd.Width)
                {
                    int left = channels - c;
                    var v = Simd.Load(image + c, left) - Vector512.Load(mean + c);
                    Simd.Store(Simd.MultiplyAdd(v, Vector512.Load(factor + c), Simd.Load(pb + c, left)), target + c, left);
                }
        }, parallel: x.Count > 1 << 15);
    }

    public override void GroupNormBackward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor statistics, Tensor dy,
        GradientTarget dx, GradientTarget dGain, GradientTarget dBias)
    {
        var shape = s;
        int channels = s.C, width = channels / groups, padded = Simd.Padded(channels);
        float* px = Pointer(x), pdy = Pointer(dy), pg = Pointer(gain), ps = Pointer(statistics), pdx = PointerOrNull(dx.Tensor);
        double* sums = Scratch.ForOp<double>(2L * s.N * channels);
        ForkJoinPool.Run(s.N, sample =>
        {
            long first = (long)sample * shape.P * channels;
            double* plain = sums + (2L * sample * channels), weighted = plain + channels;
            float* rows = Scratch.ForItem(5L * padded);
            float* mean = rows, inverse = mean + padded, constant = inverse + padded, along = constant + padded;
            float* stats = ps + (2L * sample * groups);
            for (int c = 0; c < channels; c++)
            {
                mean[c] = stats[2 * (c / width)];
                inverse[c] = stats[(2 * (c / width)) + 1];
            }
            ChannelTotals(default(Second), shape, px + first, pdy + first, null, plain);
            ChannelTotals(default(SecondTimesDistance), shape, px + first, pdy + first, mean, weighted);
            for (int c = 0; c < channels; c++)
                weighted[c] *= inverse[c];
            if (pdx is null)
                return;
            double count = (double)width * shape.P;
            for (int group = 0; group < groups; group++)
            {
                double sum = 0, dot = 0;
                for (int c = group * width; c < (group + 1) * width; c++)
                {
                    sum += pg[c] * plain[c];
                    dot += pg[c] * weighted[c];
                }
                new Span<float>(constant + (group * width), width).Fill((float)(sum / count));
                new Span<float>(along + (group * width), width).Fill((float)(dot / count * inverse[group * width]));
            }
            for (long at = first; at < first + ((long)shape.P * channels); at += channels)
                for (int c = 0; c < channels; c += Simd.Width)
                {
                    int left = channels - c;
                    var distance = Simd.Load(px + at + c, left) - Vector512.Load(mean + c);
                    var v = Simd.MultiplyAdd(Simd.Load(pg + c, left), Simd.Load(pdy + at + c, left), -Vector512.Load(constant + c));
                    v -= distance * Vector512.Load(along + c);
                    Simd.Store(v * Vector512.Load(inverse + c), pdx + at + c, left, dx.Accumulate);
                }
        }, parallel: x.Count > 1 << 15);
        AddSamples(sums, shape, 0, dBias);
        AddSamples(sums, shape, 1, dGain);
    }

    /// <summary>Adds one of the two sums [N,2,C] over the samples.</summary>
    private static void AddSamples(double* sums, in RowShape s, int which, GradientTarget target)
    {
        if (target.Tensor is null)
            return;
        float* d = Pointer(target.Tensor);
        for (int c = 0; c < s.C; c++)
        {
            double sum = 0;
            for (int sample = 0; sample < s.N; sample++)
                sum += sums[(((2L * sample) + which) * s.C) + c];
            d[c] = (float)(target.Accumulate ? d[c] + sum : sum);
        }
    }

    private static double Group(double* totals, int group, int width)
    {
        double sum = 0;
        for (int c = group * width; c < (group + 1) * width; c++)
            sum += totals[c];
        return sum;
    }

    /// <summary>Σ term(a, b, centre) per channel over the positions of a sample: short sums in float, long ones in double.</summary>
    private static void ChannelTotals<TTerm>(TTerm term, in RowShape s, float* a, float* b, float* centre, double* totals)
        where TTerm : struct, IElementMap
    {
        float* lanes = stackalloc float[Simd.Width];
        new Span<double>(totals, s.C).Clear();
        for (int c = 0; c < s.C; c += Simd.Width)
        {
            int left = s.C - c;
            var around = centre is null ? Lanes.Zero : Vector512.Load(centre + c);
            for (int start = 0; start < s.P; start += Simd.ShortSum)
            {
                var sum = Lanes.Zero;
                for (long p = start; p < Math.Min(start + Simd.ShortSum, s.P); p++)
                {
                    long at = (p * s.C) + c;
                    sum += term.Apply(Simd.Load(a + at, left), b is null ? Lanes.Zero : Simd.Load(b + at, left), around);
                }
                sum.Store(lanes);
                for (int i = 0; i < Math.Min(left, Simd.Width); i++)
                    totals[c + i] += lanes[i];
            }
        }
    }

    private readonly struct SquaredDistance : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => (a - c) * (a - c);
    }

    private readonly struct Second : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => b;
    }

    private readonly struct SecondTimesDistance : IElementMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Lanes Apply(Lanes a, Lanes b, Lanes c) => b * (a - c);
    }
}

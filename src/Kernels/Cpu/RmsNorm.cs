using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    /// <summary>The square of the least norm that is divided by.</summary>
    private const float LeastSquaredNorm = 1e-24f;

    public override void RmsNormForward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor y)
    {
        int channels = s.C;
        float* px = Pointer(x), py = Pointer(y), pg = Pointer(gain), pss = PointerOrNull(scaleShift);
        new RowBlocks(s).Run((_, sample, first, end) =>
        {
            float* factor = Scratch.ForItem(2 * Simd.Padded(channels)), shift = factor + Simd.Padded(channels);
            Affine(pg, pss is null ? null : pss + (2L * sample * channels), channels, factor, shift);
            for (long row = first; row < end; row++)
                NormalizeRow(px + (row * channels), factor, shift, silu, py + (row * channels), channels);
        });
    }

    public override void RmsNormBackward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor dy,
        GradientTarget dx, GradientTarget dGain, GradientTarget dScaleShift)
    {
        var shape = s;
        int padded = Simd.Padded(s.C);
        float* px = Pointer(x), pdy = Pointer(dy), pg = Pointer(gain), pss = PointerOrNull(scaleShift), pdx = PointerOrNull(dx.Tensor);
        var blocks = new RowBlocks(s);
        var sums = new ChannelSums(blocks, s);
        blocks.Run((block, sample, first, end) =>
        {
            float* factor = Scratch.ForItem(3L * padded), shift = factor + padded, row = shift + padded;
            Affine(pg, pss is null ? null : pss + (2L * sample * shape.C), shape.C, factor, shift);
            var (plain, weighted) = sums.OfBlock(block);
            for (long at = (long)first * shape.C; at < (long)end * shape.C; at += shape.C)
                NormalizeRowGradient(px + at, pdy + at, factor, shift, silu, row, plain, weighted, pdx is null ? null : pdx + at,
                    dx.Accumulate, shape.C);
        });
        sums.AddBlocks();
        // z = x̂ · gain · (scale + 1) + shift: the weighted sums are those of dz · x̂.
        if (dScaleShift.Tensor is not null)
            sums.StoreScaleShift(pg, dScaleShift);
        if (dGain.Tensor is not null)
        {
            float* target = Pointer(dGain.Tensor);
            for (int c = 0; c < shape.C; c++)
            {
                double sum = 0;
                for (int sample = 0; sample < shape.N; sample++)
                    sum += sums.OfSample(sample).Weighted[c] * (pss is null ? 1 : 1.0 + pss[(2L * sample * shape.C) + c]);
                target[c] = (float)(dGain.Accumulate ? target[c] + sum : sum);
            }
        }
    }

    /// <summary>What a sample's normalised channels are multiplied by, gain · (scale + 1), and what is added; zero past the end.</summary>
    private static void Affine(float* gain, float* scaleShift, int channels, float* factor, float* shift)
    {
        for (int c = 0; c < channels; c += Simd.Width)
        {
            int left = channels - c;
            var g = Simd.Load(gain + c, left);
            (scaleShift is null ? g : Simd.MultiplyAdd(g, Simd.Load(scaleShift + c, left), g)).Store(factor + c);
            (scaleShift is null ? Lanes.Zero : Simd.Load(scaleShift + channels + c, left)).Store(shift + c);
        }
    }

    /// <summary>√C / max(‖x‖, 1e-12), and whether the norm was above that limit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float InverseRms(float* x, int channels, out bool limited)
    {
        var sum = Lanes.Zero;
        for (int c = 0; c < channels; c += Simd.Width)
        {
            var v = Simd.Load(x + c, channels - c);
            sum = Simd.MultiplyAdd(v, v, sum);
        }
        float squared = Simd.Sum(sum);
        limited = squared <= LeastSquaredNorm;
        return MathF.Sqrt(channels) / MathF.Max(MathF.Sqrt(squared), 1e-12f);
    }

    private static void NormalizeRow(float* x, float* factor, float* shift, bool silu, float* y, int channels)
    {
        var inverse = Simd.Splat(InverseRms(x, channels, out _));
        for (int c = 0; c < channels; c += Simd.Width)
        {
            int left = channels - c;
            var z = Simd.MultiplyAdd(Simd.Load(x + c, left) * inverse, Vector512.Load(factor + c), Vector512.Load(shift + c));
            if (silu)
                z /= Lanes.One + Simd.Exp(-z);
            Simd.Store(z, y + c, left);
        }
    }

    /// <summary>dx of one row, and the row's part of Σ dz and Σ dz · x̂.</summary>
    /// <remarks>The row stays in the first-level cache between its passes: memory is read once.</remarks>
    private static void NormalizeRowGradient(float* x, float* dy, float* factor, float* shift, bool silu, float* row, float* plain,
        float* weighted, float* dx, bool accumulate, int channels)
    {
        var inverse = Simd.Splat(InverseRms(x, channels, out bool limited));
        var dot = Lanes.Zero;
        for (int c = 0; c < channels; c += Simd.Width)
        {
            int left = channels - c;
            var normal = Simd.Load(x + c, left) * inverse;
            var dz = Simd.Load(dy + c, left);
            var f = Vector512.Load(factor + c);
            if (silu)
            {
                var z = Simd.MultiplyAdd(normal, f, Vector512.Load(shift + c));
                var sigmoid = Simd.Sigmoid(z);
                dz *= sigmoid * Simd.MultiplyAdd(z, Lanes.One - sigmoid, Lanes.One);
            }
            (Vector512.Load(plain + c) + dz).Store(plain + c);
            Simd.MultiplyAdd(dz, normal, Vector512.Load(weighted + c)).Store(weighted + c);
            var dNormal = dz * f;
            dot = Simd.MultiplyAdd(dNormal, normal, dot);
            dNormal.Store(row + c);
        }
        if (dx is null)
            return;
        // Below the limit the norm is a constant: nothing flows through it.
        var along = Simd.Splat(limited ? 0 : Simd.Sum(dot) / channels);
        for (int c = 0; c < channels; c += Simd.Width)
        {
            int left = channels - c;
            var normal = Simd.Load(x + c, left) * inverse;
            Simd.Store(inverse * (Vector512.Load(row + c) - (normal * along)), dx + c, left, accumulate);
        }
    }
}

using System.Runtime.Intrinsics;

namespace Diffusion.Gpu.Kernels;

internal sealed unsafe partial class CpuBackend
{
    public override void ScaleShiftForward(in RowShape s, Tensor x, Tensor scaleShift, Tensor y)
    {
        int channels = s.C;
        float* px = Pointer(x), py = Pointer(y), pss = Pointer(scaleShift);
        new RowBlocks(s).Run((_, sample, first, end) =>
        {
            float* scale = pss + (2L * sample * channels), shift = scale + channels;
            for (long row = first; row < end; row++)
                for (int c = 0; c < channels; c += Simd.Width)
                {
                    int left = channels - c;
                    var v = Simd.Load(px + (row * channels) + c, left);
                    v = Simd.MultiplyAdd(v, Simd.Load(scale + c, left) + Lanes.One, Simd.Load(shift + c, left));
                    Simd.Store(v, py + (row * channels) + c, left);
                }
        });
    }

    public override void ScaleShiftBackward(in RowShape s, Tensor x, Tensor scaleShift, Tensor dy, GradientTarget dx,
        GradientTarget dScaleShift)
    {
        int channels = s.C;
        float* px = Pointer(x), pdy = Pointer(dy), pss = Pointer(scaleShift), pdx = PointerOrNull(dx.Tensor);
        var blocks = new RowBlocks(s);
        var sums = new ChannelSums(blocks, s);
        blocks.Run((block, sample, first, end) =>
        {
            float* scale = pss + (2L * sample * channels);
            var (plain, weighted) = sums.OfBlock(block);
            for (long row = first; row < end; row++)
                for (int c = 0; c < channels; c += Simd.Width)
                {
                    int left = channels - c;
                    var dz = Simd.Load(pdy + (row * channels) + c, left);
                    (Vector512.Load((float*)plain + c) + dz).Store((float*)plain + c);
                    Simd.MultiplyAdd(dz, Simd.Load(px + (row * channels) + c, left), Vector512.Load((float*)weighted + c))
                        .Store((float*)weighted + c);
                    if (pdx is not null)
                        Simd.Store(dz * (Simd.Load(scale + c, left) + Lanes.One), pdx + (row * channels) + c, left, dx.Accumulate);
                }
        });
        if (dScaleShift.Tensor is null)
            return;
        sums.AddBlocks();
        sums.StoreScaleShift(null, dScaleShift);
    }
}

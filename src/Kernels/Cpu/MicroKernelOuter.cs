using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels;

/// <content>The product that reduces over rows: both sides are read through pointers.</content>
internal sealed unsafe partial class MicroKernel<L, V>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Outer<N>(int count, nint* columns, float** pairs, float** output, bool accumulate, byte* ahead)
        where N : struct, IVectorCount
    {
        nint c0 = columns[0], c1 = columns[1], c2 = columns[2], c3 = columns[3], c4 = columns[4], c5 = columns[5];
        V s00 = default, s01 = default, s02 = default, s03 = default;
        V s10 = default, s11 = default, s12 = default, s13 = default;
        V s20 = default, s21 = default, s22 = default, s23 = default;
        V s30 = default, s31 = default, s32 = default, s33 = default;
        V s40 = default, s41 = default, s42 = default, s43 = default;
        V s50 = default, s51 = default, s52 = default, s53 = default;

        for (float** end = pairs + (2 * (nint)count); pairs < end; pairs += 2, ahead += GemmAhead.Step)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch1(ahead);
            }

            float* ap = pairs[0], bp = pairs[1];
            V b0 = L.Load(bp);
            V b1 = N.Count > 1 ? L.Load(bp + L.Count) : default;
            V b2 = N.Count > 2 ? L.Load(bp + (2 * L.Count)) : default;
            V b3 = N.Count > 3 ? L.Load(bp + (3 * L.Count)) : default;

            V x = L.Broadcast(ap[c0]);
            s00 = L.MultiplyAdd(x, b0, s00);
            s01 = N.Count > 1 ? L.MultiplyAdd(x, b1, s01) : default;
            s02 = N.Count > 2 ? L.MultiplyAdd(x, b2, s02) : default;
            s03 = N.Count > 3 ? L.MultiplyAdd(x, b3, s03) : default;

            x = L.Broadcast(ap[c1]);
            s10 = L.MultiplyAdd(x, b0, s10);
            s11 = N.Count > 1 ? L.MultiplyAdd(x, b1, s11) : default;
            s12 = N.Count > 2 ? L.MultiplyAdd(x, b2, s12) : default;
            s13 = N.Count > 3 ? L.MultiplyAdd(x, b3, s13) : default;

            x = L.Broadcast(ap[c2]);
            s20 = L.MultiplyAdd(x, b0, s20);
            s21 = N.Count > 1 ? L.MultiplyAdd(x, b1, s21) : default;
            s22 = N.Count > 2 ? L.MultiplyAdd(x, b2, s22) : default;
            s23 = N.Count > 3 ? L.MultiplyAdd(x, b3, s23) : default;

            x = L.Broadcast(ap[c3]);
            s30 = L.MultiplyAdd(x, b0, s30);
            s31 = N.Count > 1 ? L.MultiplyAdd(x, b1, s31) : default;
            s32 = N.Count > 2 ? L.MultiplyAdd(x, b2, s32) : default;
            s33 = N.Count > 3 ? L.MultiplyAdd(x, b3, s33) : default;

            x = L.Broadcast(ap[c4]);
            s40 = L.MultiplyAdd(x, b0, s40);
            s41 = N.Count > 1 ? L.MultiplyAdd(x, b1, s41) : default;
            s42 = N.Count > 2 ? L.MultiplyAdd(x, b2, s42) : default;
            s43 = N.Count > 3 ? L.MultiplyAdd(x, b3, s43) : default;

            x = L.Broadcast(ap[c5]);
            s50 = L.MultiplyAdd(x, b0, s50);
            s51 = N.Count > 1 ? L.MultiplyAdd(x, b1, s51) : default;
            s52 = N.Count > 2 ? L.MultiplyAdd(x, b2, s52) : default;
            s53 = N.Count > 3 ? L.MultiplyAdd(x, b3, s53) : default;
        }

        Write<N>(output[0], accumulate, s00, s01, s02, s03);
        Write<N>(output[1], accumulate, s10, s11, s12, s13);
        Write<N>(output[2], accumulate, s20, s21, s22, s23);
        Write<N>(output[3], accumulate, s30, s31, s32, s33);
        Write<N>(output[4], accumulate, s40, s41, s42, s43);
        Write<N>(output[5], accumulate, s50, s51, s52, s53);
    }
}

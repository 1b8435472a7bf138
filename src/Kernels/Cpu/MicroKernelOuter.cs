using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels;

/// <content>The product that reduces over rows: both sides are read through pointers.</content>
internal sealed unsafe partial class MicroKernel<L, V>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Outer<N, R>(int tiles, int count, float** pairs, nint left, nint step, nint right, float* output, nint stride,
        bool accumulate, byte* ahead)
        where N : struct, IVectorCount
        where R : struct, IRowCount
    {
        float** end = pairs + (2 * (nint)count);
        for (; tiles > 0; tiles--, left += step, output += R.Count * stride)
        {
            V s00 = default, s01 = default, s02 = default, s03 = default;
            V s10 = default, s11 = default, s12 = default, s13 = default;
            V s20 = default, s21 = default, s22 = default, s23 = default;
            V s30 = default, s31 = default, s32 = default, s33 = default;
            V s40 = default, s41 = default, s42 = default, s43 = default;
            V s50 = default, s51 = default, s52 = default, s53 = default;
            for (float** pair = pairs; pair < end; pair += 2, ahead += GemmAhead.Step)
            {
                if (Sse.IsSupported)
                {
                    Sse.Prefetch1(ahead);
                }

                float* ap = pair[0] + left, bp = pair[1] + right;
                V b0 = L.Load(bp);
                V b1 = N.Count > 1 ? L.Load(bp + L.Count) : default;
                V b2 = N.Count > 2 ? L.Load(bp + (2 * L.Count)) : default;
                V b3 = N.Count > 3 ? L.Load(bp + (3 * L.Count)) : default;

                V x = L.Broadcast(ap[0]);
                s00 = L.MultiplyAdd(x, b0, s00);
                s01 = N.Count > 1 ? L.MultiplyAdd(x, b1, s01) : default;
                s02 = N.Count > 2 ? L.MultiplyAdd(x, b2, s02) : default;
                s03 = N.Count > 3 ? L.MultiplyAdd(x, b3, s03) : default;

                if (R.Count > 1)
                {
                    x = L.Broadcast(ap[1]);
                    s10 = L.MultiplyAdd(x, b0, s10);
                    s11 = N.Count > 1 ? L.MultiplyAdd(x, b1, s11) : default;
                    s12 = N.Count > 2 ? L.MultiplyAdd(x, b2, s12) : default;
                    s13 = N.Count > 3 ? L.MultiplyAdd(x, b3, s13) : default;
                }

                if (R.Count > 2)
                {
                    x = L.Broadcast(ap[2]);
                    s20 = L.MultiplyAdd(x, b0, s20);
                    s21 = N.Count > 1 ? L.MultiplyAdd(x, b1, s21) : default;
                    s22 = N.Count > 2 ? L.MultiplyAdd(x, b2, s22) : default;
                    s23 = N.Count > 3 ? L.MultiplyAdd(x, b3, s23) : default;
                }

                if (R.Count > 3)
                {
                    x = L.Broadcast(ap[3]);
                    s30 = L.MultiplyAdd(x, b0, s30);
                    s31 = N.Count > 1 ? L.MultiplyAdd(x, b1, s31) : default;
                    s32 = N.Count > 2 ? L.MultiplyAdd(x, b2, s32) : default;
                    s33 = N.Count > 3 ? L.MultiplyAdd(x, b3, s33) : default;
                }

                if (R.Count > 4)
                {
                    x = L.Broadcast(ap[4]);
                    s40 = L.MultiplyAdd(x, b0, s40);
                    s41 = N.Count > 1 ? L.MultiplyAdd(x, b1, s41) : default;
                    s42 = N.Count > 2 ? L.MultiplyAdd(x, b2, s42) : default;
                    s43 = N.Count > 3 ? L.MultiplyAdd(x, b3, s43) : default;
                }

                if (R.Count > 5)
                {
                    x = L.Broadcast(ap[5]);
                    s50 = L.MultiplyAdd(x, b0, s50);
                    s51 = N.Count > 1 ? L.MultiplyAdd(x, b1, s51) : default;
                    s52 = N.Count > 2 ? L.MultiplyAdd(x, b2, s52) : default;
                    s53 = N.Count > 3 ? L.MultiplyAdd(x, b3, s53) : default;
                }
            }

            Write<N>(output, accumulate, s00, s01, s02, s03);
            if (R.Count > 1)
                Write<N>(output + (1 * stride), accumulate, s10, s11, s12, s13);
            if (R.Count > 2)
                Write<N>(output + (2 * stride), accumulate, s20, s21, s22, s23);
            if (R.Count > 3)
                Write<N>(output + (3 * stride), accumulate, s30, s31, s32, s33);
            if (R.Count > 4)
                Write<N>(output + (4 * stride), accumulate, s40, s41, s42, s43);
            if (R.Count > 5)
                Write<N>(output + (5 * stride), accumulate, s50, s51, s52, s53);
        }
    }
}

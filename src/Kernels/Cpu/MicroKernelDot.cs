using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Diffusion.Gpu.Kernels;

/// <content>The product over contiguous depth: rows are read where they lie, the other matrix is packed into panels.</content>
internal sealed unsafe partial class MicroKernel<L, V>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dot<N>(int tiles, int taps, nint run, float** rows, float* panel, float** output, bool accumulate,
        byte* ahead)
        where N : struct, IVectorCount
    {
        for (; tiles > 0; tiles--, output += Rows)
        {
            V s00 = default, s01 = default, s02 = default, s03 = default;
            V s10 = default, s11 = default, s12 = default, s13 = default;
            V s20 = default, s21 = default, s22 = default, s23 = default;
            V s30 = default, s31 = default, s32 = default, s33 = default;
            V s40 = default, s41 = default, s42 = default, s43 = default;
            V s50 = default, s51 = default, s52 = default, s53 = default;

            float* values = panel;
            for (int tap = 0; tap < taps; tap++, rows += Rows)
            {
                float* a0 = rows[0], a1 = rows[1], a2 = rows[2], a3 = rows[3], a4 = rows[4], a5 = rows[5];
                for (nint k = 0; k < run; k++, values += N.Count * L.Count, ahead += GemmAhead.Step)
                {
                    if (Sse.IsSupported)
                    {
                        Sse.Prefetch1(ahead);
                    }

                    V b0 = L.Load(values);
                    V b1 = N.Count > 1 ? L.Load(values + L.Count) : default;
                    V b2 = N.Count > 2 ? L.Load(values + (2 * L.Count)) : default;
                    V b3 = N.Count > 3 ? L.Load(values + (3 * L.Count)) : default;

                    V x = L.Broadcast(a0[k]);
                    s00 = L.MultiplyAdd(x, b0, s00);
                    s01 = N.Count > 1 ? L.MultiplyAdd(x, b1, s01) : default;
                    s02 = N.Count > 2 ? L.MultiplyAdd(x, b2, s02) : default;
                    s03 = N.Count > 3 ? L.MultiplyAdd(x, b3, s03) : default;

                    x = L.Broadcast(a1[k]);
                    s10 = L.MultiplyAdd(x, b0, s10);
                    s11 = N.Count > 1 ? L.MultiplyAdd(x, b1, s11) : default;
                    s12 = N.Count > 2 ? L.MultiplyAdd(x, b2, s12) : default;
                    s13 = N.Count > 3 ? L.MultiplyAdd(x, b3, s13) : default;

                    x = L.Broadcast(a2[k]);
                    s20 = L.MultiplyAdd(x, b0, s20);
                    s21 = N.Count > 1 ? L.MultiplyAdd(x, b1, s21) : default;
                    s22 = N.Count > 2 ? L.MultiplyAdd(x, b2, s22) : default;
                    s23 = N.Count > 3 ? L.MultiplyAdd(x, b3, s23) : default;

                    x = L.Broadcast(a3[k]);
                    s30 = L.MultiplyAdd(x, b0, s30);
                    s31 = N.Count > 1 ? L.MultiplyAdd(x, b1, s31) : default;
                    s32 = N.Count > 2 ? L.MultiplyAdd(x, b2, s32) : default;
                    s33 = N.Count > 3 ? L.MultiplyAdd(x, b3, s33) : default;

                    x = L.Broadcast(a4[k]);
                    s40 = L.MultiplyAdd(x, b0, s40);
                    s41 = N.Count > 1 ? L.MultiplyAdd(x, b1, s41) : default;
                    s42 = N.Count > 2 ? L.MultiplyAdd(x, b2, s42) : default;
                    s43 = N.Count > 3 ? L.MultiplyAdd(x, b3, s43) : default;

                    x = L.Broadcast(a5[k]);
                    s50 = L.MultiplyAdd(x, b0, s50);
                    s51 = N.Count > 1 ? L.MultiplyAdd(x, b1, s51) : default;
                    s52 = N.Count > 2 ? L.MultiplyAdd(x, b2, s52) : default;
                    s53 = N.Count > 3 ? L.MultiplyAdd(x, b3, s53) : default;
                }
            }

            Write<N>(output[0], accumulate, s00, s01, s02, s03);
            Write<N>(output[1], accumulate, s10, s11, s12, s13);
            Write<N>(output[2], accumulate, s20, s21, s22, s23);
            Write<N>(output[3], accumulate, s30, s31, s32, s33);
            Write<N>(output[4], accumulate, s40, s41, s42, s43);
            Write<N>(output[5], accumulate, s50, s51, s52, s53);
        }
    }
}

using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void AttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp)
    {
        var arguments = Arguments(s, qkv, memory, y, logSumExp);
        Launch(AttentionKernels.Forward, arguments, HeadTile.Groups(s, s.T, s.D));
    }

    public override void AttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp, Tensor dy,
        GradientTarget dQkv, GradientTarget dMemory)
    {
        int slotValues = 2 * s.Heads * s.M * s.D;
        int keyRows = dQkv.Tensor is not null ? s.M + s.T : dMemory.Tensor is not null ? s.M : 0;
        if (keyRows == 0)
            return;
        using var delta = Rent((long)s.N * s.Heads * s.T);
        using var parts = Rent(Math.Max(1, (long)s.N * slotValues));
        _launcher.ForEach((long)s.N * s.Heads * s.T, new AttentionDeltaKernel(s, View(y), View(dy), delta.View));
        var arguments = Arguments(s, qkv, memory, y, logSumExp) with
        {
            Dy = View(dy),
            Delta = delta.View,
            DQkv = View(dQkv.Tensor ?? y),
            DQkvMode = Mode(dQkv),
            DMemoryParts = parts.View,
            DMemoryMode = dMemory.Tensor is null ? 0 : 1,
            KeyRows = keyRows,
        };
        if (dQkv.Tensor is not null)
            Launch(AttentionKernels.BackwardQueries, arguments, HeadTile.Groups(s, s.T, s.D));
        Launch(AttentionKernels.BackwardKeys, arguments, HeadTile.Groups(s, keyRows, s.D));
        if (dMemory.Tensor is not null && slotValues > 0)
            SumRows(s.N, slotValues, parts.View, To(dMemory));
    }

    private static AttentionArguments Arguments(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp)
    {
        var unread = View(y);
        return new AttentionArguments
        {
            Shape = s,
            Qkv = View(qkv),
            Memory = View(memory),
            Y = unread,
            LogSumExp = View(logSumExp),
            Dy = unread,
            Delta = unread,
            DQkv = unread,
            DMemoryParts = unread,
        };
    }

    /// <summary>How <see cref="HeadRows.Write"/> stores a gradient.</summary>
    private static int Mode(GradientTarget target) => target.Tensor is null ? 0 : target.Accumulate ? 2 : 1;

    private void Launch<TArguments>(Action<TArguments> kernel, TArguments arguments, int groups)
        where TArguments : struct
        => _launcher.Launch(kernel, arguments, new Index3D(groups, 1, 1), AttentionTile.Threads);

    /// <summary>delta[n,head,t] = dy · y over the head's channels: what every weight's gradient is reduced by.</summary>
    internal readonly struct AttentionDeltaKernel(AttentionShape s, ArrayView<float> y, ArrayView<float> dy, ArrayView<float> delta)
        : IElementKernel
    {
        public void Run(int i)
        {
            int row = i / s.T, t = i - (row * s.T);
            int n = row / s.Heads, head = row - (n * s.Heads);
            int offset = (((n * s.T) + t) * s.Width) + (head * s.D);
            float sum = 0;
            for (int d = 0; d < s.D; d++)
                sum += y[offset + d] * dy[offset + d];
            delta[i] = sum;
        }
    }
}

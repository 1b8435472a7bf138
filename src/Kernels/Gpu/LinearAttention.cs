using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void LinearAttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor keyStatistics,
        Tensor context)
    {
        int statisticsParts = Launcher.GroupsFor(s.M + s.T, LinearAttentionKernels.RowsOfStatistics);
        using var parts = Rent((long)s.N * statisticsParts * 2 * s.Width);
        var arguments = LinearArguments(s, qkv, memory, keyStatistics, context) with
        {
            Y = View(y),
            Parts = parts.View,
            PartCount = statisticsParts,
        };
        _launcher.Launch(LinearAttentionKernels.KeyStatisticsOfPart, arguments,
            new Index3D(LinearAttentionKernels.StatisticsGroups(s), statisticsParts, s.N), AttentionTile.Threads);
        _launcher.ForEach((long)s.N * s.Width, new KeyStatisticsKernel(s, statisticsParts, parts.View, View(keyStatistics)));
        AddParts(LinearAttentionKernels.ContextOfPart, arguments, s.M + s.T, context);
        Launch(LinearAttentionKernels.Output, arguments, HeadTile.Groups(s, s.T, s.D));
    }

    public override void LinearAttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor keyStatistics, Tensor context,
        Tensor dy, Tensor dContext, GradientTarget dQkv, GradientTarget dMemory)
    {
        int slotValues = 2 * s.Heads * s.M * s.D;
        int keyRows = dQkv.Tensor is not null ? s.M + s.T : dMemory.Tensor is not null ? s.M : 0;
        if (keyRows == 0)
            return;
        using var parts = Rent(Math.Max(1, (long)s.N * slotValues));
        var arguments = LinearArguments(s, qkv, memory, keyStatistics, context) with
        {
            Dy = View(dy),
            DContext = View(dContext),
            DQkv = View(dQkv.Tensor ?? dContext),
            DQkvMode = Mode(dQkv),
            DMemoryParts = parts.View,
            DMemoryMode = dMemory.Tensor is null ? 0 : 1,
            KeyRows = keyRows,
        };
        AddParts(LinearAttentionBackwardKernels.DContextOfPart, arguments, s.T, dContext);
        if (dQkv.Tensor is not null)
            Launch(LinearAttentionBackwardKernels.BackwardQueries, arguments, HeadTile.Groups(s, s.T, AttentionTile.Size));
        Launch(LinearAttentionBackwardKernels.BackwardKeys, arguments, HeadTile.Groups(s, keyRows, s.D));
        if (dMemory.Tensor is not null && slotValues > 0)
            SumRows(s.N, slotValues, parts.View, To(dMemory));
    }

    /// <summary>Runs a kernel that sums [N,Heads,D,D] over parts of the rows, and adds the parts in order.</summary>
    private void AddParts(Action<LinearAttentionArguments> kernel, LinearAttentionArguments arguments, int rows, Tensor sum)
    {
        var s = arguments.Shape;
        int count = Launcher.GroupsFor(rows, LinearAttentionKernels.RowsOfContext), size = (int)sum.Count;
        var groups = new Index3D(HeadTile.Groups(s, s.D, s.D), count, 1);
        using var parts = Rent(count == 1 ? 1 : (long)count * size);
        _launcher.Launch(kernel, arguments with { Parts = count == 1 ? View(sum) : parts.View }, groups, AttentionTile.Threads);
        if (count > 1)
            SumRows(count, size, parts.View, new Target(View(sum), false));
    }

    private static LinearAttentionArguments LinearArguments(in AttentionShape s, Tensor qkv, Tensor memory, Tensor keyStatistics,
        Tensor context)
    {
        var unread = View(qkv);
        return new LinearAttentionArguments
        {
            Shape = s,
            Qkv = View(qkv),
            Memory = View(memory),
            KeyStatistics = View(keyStatistics),
            Context = View(context),
            DContext = unread,
            Y = unread,
            Dy = unread,
            DQkv = unread,
            DMemoryParts = unread,
            Parts = unread,
        };
    }

    /// <summary>Brings the parts' maxima and sums of one key channel together, in order.</summary>
    internal readonly struct KeyStatisticsKernel(AttentionShape s, int partCount, ArrayView<float> parts, ArrayView<float> statistics)
        : IElementKernel
    {
        public void Run(int i)
        {
            int n = i / s.Width, column = i - (n * s.Width), head = column / s.D;
            int first = (n * partCount * 2 * s.Width) + column, end = first + (partCount * 2 * s.Width);
            float maximum = float.MinValue, sum = 0;
            for (int part = first; part < end; part += 2 * s.Width)
                maximum = LinearAttentionTile.Max(maximum, parts[part]);
            for (int part = first; part < end; part += 2 * s.Width)
                sum += parts[part + s.Width] * MathF.Exp(parts[part] - maximum);
            int target = (((n * s.Heads) + head) * 2 * s.D) + column - (head * s.D);
            statistics[target] = maximum;
            statistics[target + s.D] = sum;
        }
    }
}

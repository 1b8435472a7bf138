namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>cp.async.cg of 16 bytes from global to shared memory: as many as the last operand says, zeros behind them.</summary>
/// <remarks>PTX ISA, "Non-bulk copy: cp.async": completion is unordered and unknown until waited for. Bytes land here as late as the wait
/// allows. Where nothing is read, the source address may lie anywhere, but must be aligned.</remarks>
internal sealed class StartCopy(int target, int targetOffset, int source, int sourceOffset, int size) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        Span<byte> values = stackalloc byte[16];
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            var thread = warp.Thread(lane);
            int count = (int)(uint)warp.Row(size)[lane];
            if (count is < 0 or > 16)
                throw new PtxFaultException($"{thread} copies {count} of 16 bytes");
            ulong from = warp.Row(source)[lane] + (ulong)sourceOffset, to = warp.Row(target)[lane] + (ulong)targetOffset;
            GlobalMemory.CheckAlignment(from, 16, thread);
            values.Clear();
            if (count > 0)
                warp.Group.Global.Read(from, count, thread, alignment: 16).CopyTo(values);
            warp.Group.Shared.StartCopy(to, thread);
            warp.Group.Copies[thread.Index].Start(to, BitConverter.ToUInt128(values));
        }
    }
}

/// <summary>cp.async.commit_group.</summary>
internal sealed class CommitCopies : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        while (lanes != 0)
            warp.Group.Copies[warp.Thread(Lanes.Next(ref lanes)).Index].Commit();
    }
}

/// <summary>cp.async.wait_group and cp.async.wait_all.</summary>
/// <param name="newest">How many of the newest groups need not have landed; null to wait for everything.</param>
internal sealed class WaitForCopies(int? newest) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        while (lanes != 0)
        {
            var thread = warp.Thread(Lanes.Next(ref lanes));
            warp.Group.Copies[thread.Index].Land(newest, warp.Group.Shared, thread);
        }
    }
}

/// <summary>The copies of one thread that have not landed.</summary>
internal sealed class PendingCopies
{
    private readonly Queue<(ulong Address, UInt128 Values, int Group)> _copies = new();
    private int _groups;

    public void Clear()
    {
        _copies.Clear();
        _groups = 0;
    }

    public void Start(ulong address, UInt128 values) => _copies.Enqueue((address, values, _groups));

    public void Commit() => _groups++;

    public void Land(int? newest, GroupMemory memory, PtxThread thread)
    {
        while (_copies.TryPeek(out var copy) && (newest is null || copy.Group < _groups - newest))
        {
            memory.LandCopy(copy.Address, copy.Values, thread);
            _copies.Dequeue();
        }
    }
}

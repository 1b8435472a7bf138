using System.Numerics;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The lanes that a mask has bits for.</summary>
internal static class Lanes
{
    public const int Count = 32;
    public const uint All = uint.MaxValue;

    /// <summary>Takes the lowest lane out of a mask.</summary>
    public static int Next(ref uint lanes)
    {
        int lane = BitOperations.TrailingZeroCount(lanes);
        lanes &= lanes - 1;
        return lane;
    }
}

/// <summary>A value computed from one.</summary>
internal sealed class Compute1(int target, int a, Func<ulong, ulong> apply) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        Span<ulong> to = warp.Row(target), from = warp.Row(a);
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            to[lane] = apply(from[lane]);
        }
    }
}

/// <summary>A value computed from two.</summary>
internal sealed class Compute2(int target, int a, int b, Func<ulong, ulong, ulong> apply) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        Span<ulong> to = warp.Row(target), left = warp.Row(a), right = warp.Row(b);
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            to[lane] = apply(left[lane], right[lane]);
        }
    }
}

/// <summary>The same for the instructions that kernels consist of, without a call for every lane.</summary>
internal sealed class Compute2<TOperation>(int target, int a, int b) : PtxInstruction
    where TOperation : struct, IOperation2
{
    public override void Run(Warp warp, uint lanes)
    {
        Span<ulong> to = warp.Row(target), left = warp.Row(a), right = warp.Row(b);
        if (lanes == Lanes.All)
        {
            for (int lane = 0; lane < to.Length; lane++)
                to[lane] = TOperation.Apply(left[lane], right[lane]);
            return;
        }
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            to[lane] = TOperation.Apply(left[lane], right[lane]);
        }
    }
}

/// <summary>A value computed from three.</summary>
internal sealed class Compute3(int target, int a, int b, int c, Func<ulong, ulong, ulong, ulong> apply) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        Span<ulong> to = warp.Row(target), first = warp.Row(a), second = warp.Row(b), third = warp.Row(c);
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            to[lane] = apply(first[lane], second[lane], third[lane]);
        }
    }
}

/// <summary>mov: a register, a constant or an address.</summary>
internal sealed class Move(int target, int source, int bytes) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        ulong mask = bytes == 8 ? ulong.MaxValue : (1ul << (8 * bytes)) - 1;
        Span<ulong> to = warp.Row(target), from = warp.Row(source);
        if (lanes == Lanes.All)
        {
            for (int lane = 0; lane < to.Length; lane++)
                to[lane] = from[lane] & mask;
            return;
        }
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            to[lane] = from[lane] & mask;
        }
    }
}

/// <summary>shfl.sync.idx over the whole warp: every lane receives the value of the lane that it names, modulo 32.</summary>
internal sealed class Shuffle(int target, int source, int index) : PtxInstruction
{
    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes)
    {
        Span<ulong> from = stackalloc ulong[Lanes.Count];
        warp.Row(source).CopyTo(from);
        Span<ulong> to = warp.Row(target), named = warp.Row(index);
        for (int lane = 0; lane < Lanes.Count; lane++)
            to[lane] = (uint)from[(int)(named[lane] & 31)];
    }
}

/// <summary>ld.param: bytes of the launch's arguments, the same in all threads.</summary>
internal sealed class LoadParameter(int target, int offset, int bytes) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        Span<byte> value = stackalloc byte[8];
        value.Clear();
        warp.Group.Arguments.AsSpan(offset, bytes).CopyTo(value);
        ulong bits = BitConverter.ToUInt64(value);
        Span<ulong> to = warp.Row(target);
        while (lanes != 0)
            to[Lanes.Next(ref lanes)] = bits;
    }
}

/// <summary>ld.global, ld.shared and ld.local, of up to four registers.</summary>
/// <param name="space">Which memory.</param>
/// <param name="targets">Rows.</param>
/// <param name="address">Row.</param>
/// <param name="offset">In bytes.</param>
/// <param name="bytes">Of one register.</param>
internal sealed class Load(PtxSpace space, int[] targets, int address, int offset, int bytes) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        int all = bytes * targets.Length;
        Span<ulong> addresses = warp.Row(address);
        Span<byte> register = stackalloc byte[8];
        register.Clear();
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            var thread = warp.Thread(lane);
            ulong at = addresses[lane] + (ulong)offset;
            var values = space switch
            {
                PtxSpace.Global => warp.Group.Global.Read(at, all, thread),
                PtxSpace.Shared => warp.Group.Shared.Read(at, all, thread),
                _ => warp.Group.Local.At(at, all, thread),
            };
            for (int i = 0; i < targets.Length; i++)
            {
                values.Slice(i * bytes, bytes).CopyTo(register);
                warp.Row(targets[i])[lane] = BitConverter.ToUInt64(register);
            }
        }
    }
}

/// <summary>st.global, st.shared and st.local; parameters as of <see cref="Load"/>.</summary>
internal sealed class Store(PtxSpace space, int[] sources, int address, int offset, int bytes) : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        int all = bytes * sources.Length;
        Span<ulong> addresses = warp.Row(address);
        Span<byte> register = stackalloc byte[8];
        while (lanes != 0)
        {
            int lane = Lanes.Next(ref lanes);
            var thread = warp.Thread(lane);
            ulong at = addresses[lane] + (ulong)offset;
            var values = space switch
            {
                PtxSpace.Global => warp.Group.Global.Write(at, all, thread),
                PtxSpace.Shared => warp.Group.Shared.Write(at, all, thread),
                _ => warp.Group.Local.At(at, all, thread),
            };
            for (int i = 0; i < sources.Length; i++)
            {
                BitConverter.TryWriteBytes(register, warp.Row(sources[i])[lane]);
                register[..bytes].CopyTo(values[(i * bytes)..]);
            }
        }
    }
}

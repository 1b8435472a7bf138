using System.Numerics;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>How far a warp came.</summary>
internal enum WarpState
{
    AtBarrier,
    Ended,
}

/// <summary>32 threads, whose registers lie side by side.</summary>
/// <remarks>Lanes that stand at the same instruction run it together; where they stand at several, the one that comes first in the text is
/// next. At an instruction that the whole warp must run together, lanes wait for the others: if those end or wait elsewhere,
/// the kernel is faulty.</remarks>
internal sealed class Warp(PtxKernel kernel, ThreadGroup group, int firstThread)
{
    private readonly ulong[] _registers = new ulong[kernel.Rows * Lanes.Count];
    private readonly List<Fragment> _fragments = [];
    private uint _live;

    /// <summary>What the warp shares with others.</summary>
    public ThreadGroup Group => group;

    /// <summary>Matrix products of the warpgroup that this warp has a part in.</summary>
    public PendingProducts Products { get; } = new();

    /// <summary>The instruction that the lanes that ran last stand at.</summary>
    public int At { get; private set; }

    /// <summary>A register of all lanes.</summary>
    public Span<ulong> Row(int row) => _registers.AsSpan(row * Lanes.Count, Lanes.Count);

    public PtxThread Thread(int lane) => new(firstThread + lane, group.Index, group.Epoch);

    /// <summary>Puts all lanes at the first instruction.</summary>
    public void Start()
    {
        Array.Fill(_registers, GroupMemory.Poison);
        foreach (var (value, row) in kernel.Constants)
            Row(row).Fill(value);
        foreach (var (name, row) in kernel.Special)
        {
            for (int lane = 0; lane < Lanes.Count; lane++)
                Row(row)[lane] = group.Special(name, firstThread + lane);
        }
        Products.Clear();
        _live = Lanes.All;
        _fragments.Clear();
        _fragments.Add(new Fragment(0, Lanes.All));
    }

    /// <summary>Leaves the barrier that the warp waits at.</summary>
    public void Pass()
    {
        _fragments[0].At++;
        _fragments[0].IsWaiting = false;
    }

    /// <summary>Runs to the next barrier or to the end.</summary>
    public WarpState Run()
    {
        while (_fragments.Count > 0)
        {
            var fragment = Next();
            At = fragment.At;
            if (fragment.IsWaiting)
            {
                if (_fragments.Count > 1 || fragment.Lanes != _live || _live != Lanes.All)
                    throw new PtxFaultException($"the warp of thread {firstThread} of group {group.Index} is split: {Describe()}");
                if (kernel.Code[At] is GroupBarrier)
                    return WarpState.AtBarrier;
                kernel.Code[At].Run(this, Lanes.All);
                fragment.At++;
                fragment.IsWaiting = false;
            }
            do
            {
                At = fragment.At;
                Step(fragment);
            }
            while (_fragments is [var only] && only == fragment && !fragment.IsWaiting);
        }
        return WarpState.Ended;
    }

    /// <summary>The lanes that run next: those that do not wait, and of them those that come first in the text.</summary>
    private Fragment Next()
    {
        var next = _fragments.Where(fragment => !fragment.IsWaiting).DefaultIfEmpty(_fragments[0]).MinBy(fragment => fragment.At)!;
        foreach (var other in _fragments.Where(other => other != next && other.At == next.At && other.IsWaiting == next.IsWaiting).ToList())
        {
            next.Lanes |= other.Lanes;
            _fragments.Remove(other);
        }
        return next;
    }

    private void Step(Fragment fragment)
    {
        var instruction = kernel.Code[fragment.At];
        group.Count();
        uint active = Active(instruction, fragment.Lanes);
        if (instruction.IsCollective)
        {
            if (instruction.Guard >= 0)
                throw new PtxFaultException("all threads of a warp must run this, but it has a predicate");
            if (instruction is GroupBarrier || fragment.Lanes != Lanes.All)
            {
                fragment.IsWaiting = true;
                return;
            }
        }
        if (instruction is Branch branch)
            Follow(branch, fragment, active);
        else if (instruction is Return)
            End(fragment, active);
        else
        {
            if (active != 0)
                instruction.Run(this, active);
            fragment.At++;
        }
    }

    private void Follow(Branch branch, Fragment fragment, uint taken)
    {
        uint rest = fragment.Lanes & ~taken;
        if (taken != 0 && rest != 0)
        {
            if (branch.IsUniform)
                throw new PtxFaultException($"threads of the warp of thread {firstThread} part at a branch that is said to be uniform");
            _fragments.Add(new Fragment(branch.Target, taken));
        }
        else if (taken != 0)
        {
            fragment.At = branch.Target;
            return;
        }
        fragment.Lanes = rest;
        fragment.At++;
    }

    private void End(Fragment fragment, uint ended)
    {
        _live &= ~ended;
        fragment.Lanes &= ~ended;
        fragment.At++;
        if (fragment.Lanes == 0)
            _fragments.Remove(fragment);
    }

    private uint Active(PtxInstruction instruction, uint lanes)
    {
        if (instruction.Guard < 0)
            return lanes;
        var guard = Row(instruction.Guard);
        uint set = 0;
        for (int lane = 0; lane < Lanes.Count; lane++)
            set |= (guard[lane] != 0 ? 1u : 0) << lane;
        return lanes & (instruction.IsGuardNegated ? ~set : set);
    }

    private string Describe()
    {
        var places = _fragments.Select(fragment
            => $"{BitOperations.PopCount(fragment.Lanes)} threads wait at line {kernel.Code[fragment.At].Line}");
        int ended = Lanes.Count - BitOperations.PopCount(_live);
        return string.Join(", ", ended == 0 ? places : places.Append($"{ended} have ended"));
    }

    /// <summary>Lanes that stand at one instruction.</summary>
    private sealed class Fragment(int at, uint lanes)
    {
        public int At { get; set; } = at;

        public uint Lanes { get; set; } = lanes;

        public bool IsWaiting { get; set; }
    }
}

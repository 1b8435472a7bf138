namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A thread at some moment.</summary>
internal readonly record struct PtxThread
{
    private const int EpochShift = 16;
    private const int GroupShift = 40;
    private const ulong ThreadMask = (1ul << EpochShift) - 1;
    private const ulong EpochMask = (1ul << GroupShift) - 1 - ThreadMask;
    private const ulong GroupMask = ~(ThreadMask | EpochMask | Exists);
    private const ulong Exists = 1ul << 63;

    private readonly ulong _bits;

    /// <param name="index">In its group.</param>
    /// <param name="group">In the grid.</param>
    /// <param name="epoch">Barriers that the group has passed.</param>
    public PtxThread(int index, int group, int epoch)
        : this(Exists | ((ulong)group << GroupShift) | ((ulong)epoch << EpochShift) | (uint)index)
    {
    }

    private PtxThread(ulong bits) => _bits = bits;

    public int Index => (int)(_bits & ThreadMask);

    public int Epoch => (int)((_bits & EpochMask) >> EpochShift);

    public bool IsNobody => _bits == 0;

    /// <summary>In place of nobody, this thread; in place of another one of the same moment, more than one thread.</summary>
    public PtxThread After(PtxThread earlier)
    {
        ulong change = earlier._bits ^ _bits;
        if (earlier._bits == 0 || change == 0)
            return this;
        return (change & GroupMask) != 0 ? new PtxThread(_bits | GroupMask)
            : (change & EpochMask) == 0 ? new PtxThread(_bits | ThreadMask) : this;
    }

    /// <summary>More than one thread of the group.</summary>
    public PtxThread WithOthers() => new(_bits | ThreadMask);

    /// <summary>Whether another thread's access has no barrier between it and one of this thread.</summary>
    public bool Collides(PtxThread earlier)
    {
        ulong change = earlier._bits ^ _bits;
        return change != 0 && earlier._bits != 0 && ((change & GroupMask) != 0 || (change & EpochMask) == 0);
    }

    public override string ToString() => (_bits & GroupMask) == GroupMask ? "threads of several groups"
        : (_bits & ThreadMask) == ThreadMask ? $"several threads of group {_bits >> GroupShift & 0x7FFFFF}"
        : $"thread {Index} of group {_bits >> GroupShift & 0x7FFFFF}";
}

/// <summary>Who read and wrote every word of a memory last. Two threads that meet in a word, one of them writing, need a barrier of their
/// group between them; threads of two groups must not meet at all.</summary>
/// <param name="words">Words of four bytes.</param>
internal sealed class AccessLog(int words)
{
    private readonly PtxThread[] _reads = new PtxThread[words];
    private readonly PtxThread[] _writes = new PtxThread[words];

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Array.Clear(_reads);
        Array.Clear(_writes);
    }

    /// <exception cref="PtxFaultException">Another thread's write may come before or after.</exception>
    public void Read(int word, PtxThread thread)
    {
        if (thread.Collides(_writes[word]))
            throw Race(thread, "reads", _writes[word], "writes");
        ref var last = ref _reads[word];
        last = thread.After(last);
    }

    /// <summary>A read by all threads of a warp.</summary>
    public void ReadTogether(int word, PtxThread thread)
    {
        Read(word, thread);
        _reads[word] = _reads[word].WithOthers();
    }

    /// <exception cref="PtxFaultException">Another thread's read or write may come before or after.</exception>
    public void Write(int word, PtxThread thread)
    {
        if (thread.Collides(_writes[word]))
            throw Race(thread, "writes", _writes[word], "writes");
        if (thread.Collides(_reads[word]))
            throw Race(thread, "writes", _reads[word], "reads");
        _writes[word] = thread;
    }

    /// <summary>Who wrote a word last, or nobody.</summary>
    public PtxThread Writer(int word) => _writes[word];

    /// <summary>A write that was checked when it was started, and becomes visible now.</summary>
    public void Land(int word, PtxThread thread) => _writes[word] = thread;

    private static PtxFaultException Race(PtxThread thread, string verb, PtxThread other, string otherVerb)
        => new($"race: {thread} {verb} what {other} {otherVerb}, with no barrier between");
}

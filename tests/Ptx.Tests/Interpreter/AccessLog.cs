namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A thread at some moment.</summary>
/// <param name="Index">In its group.</param>
/// <param name="Group">In the grid.</param>
/// <param name="Epoch">Barriers that the group has passed.</param>
internal readonly record struct PtxThread(int Index, int Group, int Epoch)
{
    public override string ToString() => $"thread {Index} of group {Group}";
}

/// <summary>Who read and wrote every word of a memory last. Two threads that meet in a word, one of them writing, need a barrier of their
/// group between them; threads of two groups must not meet at all.</summary>
/// <param name="words">Words of four bytes.</param>
internal sealed class AccessLog(int words)
{
    /// <summary>In place of a thread or a group: more than one.</summary>
    private const int Several = -1;

    private readonly Access[] _reads = new Access[words];
    private readonly Access[] _writes = new Access[words];

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Array.Clear(_reads);
        Array.Clear(_writes);
    }

    /// <exception cref="PtxFaultException">Another thread's write may come before or after.</exception>
    public void Read(int word, PtxThread thread)
    {
        CheckWrite(word, thread, "reads");
        ref var last = ref _reads[word];
        bool isSameEpoch = last.Exists && last.Epoch == thread.Epoch && last.Group == thread.Group;
        last = new Access(true, isSameEpoch && last.Thread != thread.Index ? Several : thread.Index,
            last.Exists && last.Group != thread.Group ? Several : thread.Group, thread.Epoch);
    }

    /// <summary>A read by all threads of a warp.</summary>
    public void ReadTogether(int word, PtxThread thread)
    {
        Read(word, thread);
        _reads[word] = _reads[word] with { Thread = Several };
    }

    /// <exception cref="PtxFaultException">Another thread's read or write may come before or after.</exception>
    public void Write(int word, PtxThread thread)
    {
        CheckWrite(word, thread, "writes");
        var read = _reads[word];
        if (Collide(read, thread))
            throw new PtxFaultException($"race: {thread} writes what {read} reads, with no barrier between");
        _writes[word] = new Access(true, thread.Index, thread.Group, thread.Epoch);
    }

    /// <summary>A write that was checked when it was started, and becomes visible now.</summary>
    public void Land(int word, PtxThread thread) => _writes[word] = new Access(true, thread.Index, thread.Group, thread.Epoch);

    private void CheckWrite(int word, PtxThread thread, string verb)
    {
        var write = _writes[word];
        if (Collide(write, thread))
            throw new PtxFaultException($"race: {thread} {verb} what {write} writes, with no barrier between");
    }

    private static bool Collide(Access earlier, PtxThread thread)
        => earlier.Exists && (earlier.Group != thread.Group || (earlier.Epoch == thread.Epoch && earlier.Thread != thread.Index));

    private readonly record struct Access(bool Exists, int Thread, int Group, int Epoch)
    {
        public override string ToString()
            => Group == Several ? "other groups" : Thread == Several ? "a warp or several threads" : $"thread {Thread} of group {Group}";
    }
}

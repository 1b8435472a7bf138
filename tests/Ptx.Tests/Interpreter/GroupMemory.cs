using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The shared memory of a group. What nobody wrote is not a number; what is still being copied cannot be read.</summary>
/// <param name="bytes">Reserved by the kernel and given by the launch.</param>
internal sealed class GroupMemory(int bytes)
{
    /// <summary>Not a number as bfloat16, as a float and as a double.</summary>
    public const ulong Poison = 0x7FFF7FFF7FFF7FFF;

    private readonly byte[] _bytes = new byte[(bytes + 7) & ~7];
    private readonly AccessLog _log = new((bytes + 3) / 4);
    private readonly bool[] _isUnderWay = new bool[(bytes + 3) / 4];
    private readonly AsynchronousReads _asynchronous = new((bytes + 3) / 4);

    /// <summary>Begins a group.</summary>
    public void Clear()
    {
        MemoryMarshal.Cast<byte, ulong>(_bytes.AsSpan()).Fill(Poison);
        _log.Clear();
        Array.Clear(_isUnderWay);
        _asynchronous.Clear();
    }

    public ReadOnlySpan<byte> Read(ulong address, int count, PtxThread thread) => Read(address, count, thread, isTogether: false);

    /// <summary>What one thread names and a whole warp reads.</summary>
    public ReadOnlySpan<byte> ReadTogether(ulong address, int count, PtxThread thread) => Read(address, count, thread, isTogether: true);

    /// <summary>Bytes for a thread to write to.</summary>
    public Span<byte> Write(ulong address, int count, PtxThread thread)
    {
        int at = Checked(address, count, thread);
        for (int word = at >> 2; word << 2 < at + count; word++)
        {
            if (_isUnderWay[word])
                throw new PtxFaultException($"{thread} writes byte {at} of shared memory, where a copy is under way");
            _asynchronous.Write(word, thread);
            _log.Write(word, thread);
        }
        return _bytes.AsSpan(at, count);
    }

    /// <summary>A word that matrix instructions read beside the threads, until <see cref="EndAsynchronousRead"/>.</summary>
    /// <param name="address">A multiple of four.</param>
    /// <param name="thread">The warp's first.</param>
    /// <param name="isFirst">Whether the warp's products read it for the first time.</param>
    public ReadOnlySpan<byte> ReadAsynchronously(ulong address, PtxThread thread, bool isFirst)
    {
        var values = Read(address, sizeof(uint), thread, isTogether: true);
        int word = Checked(address, sizeof(uint), thread) >> 2;
        _asynchronous.Read(word, thread, _log.Writer(word), isFirst);
        return values;
    }

    public void EndAsynchronousRead(ulong address, PtxThread thread)
    {
        int word = Checked(address, sizeof(uint), thread) >> 2;
        _asynchronous.End(word);
        _log.ReadTogether(word, thread);
    }

    /// <summary>Orders what a thread wrote before what matrix instructions read.</summary>
    public void ShowToAsynchronous(PtxThread thread) => _asynchronous.Fence(thread);

    /// <summary>An asynchronous copy of 16 bytes begins: from now on nobody may touch them.</summary>
    public void StartCopy(ulong address, PtxThread thread)
    {
        var target = Write(address, 16, thread);
        MemoryMarshal.Cast<byte, ulong>(target).Fill(Poison);
        _isUnderWay.AsSpan(Checked(address, 16, thread) >> 2, 4).Fill(true);
    }

    /// <summary>A copy is waited for: its bytes are there for the thread that waited, and for others behind the next barrier.</summary>
    public void LandCopy(ulong address, UInt128 values, PtxThread thread)
    {
        int at = Checked(address, 16, thread);
        MemoryMarshal.Write(_bytes.AsSpan(at), values);
        _isUnderWay.AsSpan(at >> 2, 4).Clear();
        for (int word = at >> 2; word << 2 < at + 16; word++)
        {
            _asynchronous.Write(word, thread);
            _log.Land(word, thread);
        }
    }

    private ReadOnlySpan<byte> Read(ulong address, int count, PtxThread thread, bool isTogether)
    {
        int at = Checked(address, count, thread);
        for (int word = at >> 2; word << 2 < at + count; word++)
        {
            if (_isUnderWay[word])
                throw new PtxFaultException($"{thread} reads byte {at} of shared memory, where a copy is under way");
            if (isTogether)
                _log.ReadTogether(word, thread);
            else
                _log.Read(word, thread);
        }
        return _bytes.AsSpan(at, count);
    }

    private int Checked(ulong address, int count, PtxThread thread)
    {
        ulong at = address - PtxKernel.SharedBase;
        if (address < PtxKernel.SharedBase || at + (ulong)count > (ulong)bytes)
            throw new PtxFaultException($"{thread} reaches {count} bytes at {(long)at} of the {bytes} of shared memory");
        if (at % (ulong)count != 0)
            throw new PtxFaultException($"{thread} reaches {count} bytes at {at} of shared memory, which are misaligned");
        return (int)at;
    }
}

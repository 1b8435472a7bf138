using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What each thread of a group has for itself; every thread names it by the same addresses.</summary>
/// <param name="threads">Of the group.</param>
/// <param name="bytes">Of one thread.</param>
internal sealed class LocalMemory(int threads, int bytes)
{
    /// <summary>Where it begins: at no address of shared memory.</summary>
    public const int Base = 1 << 24;

    private readonly byte[] _bytes = new byte[threads * Size(bytes)];

    /// <summary>Begins a group.</summary>
    public void Clear() => MemoryMarshal.Cast<byte, ulong>(_bytes.AsSpan()).Fill(GroupMemory.Poison);

    /// <summary>Bytes for a thread to read or to write to.</summary>
    public Span<byte> At(ulong address, int count, PtxThread thread)
    {
        ulong at = address - Base;
        if (address < Base || at + (ulong)count > (ulong)bytes || at % (ulong)count != 0)
            throw new PtxFaultException($"{thread} reaches {count} bytes at {(long)at} of its {bytes} of local memory");
        return _bytes.AsSpan((thread.Index * Size(bytes)) + (int)at, count);
    }

    private static int Size(int bytes) => (bytes + 15) & ~15;
}

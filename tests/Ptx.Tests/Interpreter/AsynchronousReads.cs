namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What matrix instructions of a warpgroup read in shared memory: through the asynchronous proxy, which sees what threads wrote
/// only behind their proxy fence and a barrier, and at any time until they are waited for.</summary>
/// <param name="words">Of shared memory.</param>
internal sealed class AsynchronousReads(int words)
{
    private readonly long[] _written = new long[words];
    private readonly int[] _readers = new int[words];
    private readonly Dictionary<int, List<(long Time, int Epoch)>> _fences = [];
    private long _time;

    public void Clear()
    {
        Array.Clear(_written);
        Array.Clear(_readers);
        _fences.Clear();
        _time = 0;
    }

    public void Write(int word, PtxThread thread)
    {
        if (_readers[word] > 0)
            throw new PtxFaultException($"{thread} writes byte {4 * word} of shared memory, which matrix instructions may still read");
        _written[word] = ++_time;
    }

    public void Fence(PtxThread thread)
    {
        if (!_fences.TryGetValue(thread.Index, out var fences))
            _fences[thread.Index] = fences = [];
        fences.Add((++_time, thread.Epoch));
    }

    public void Read(int word, PtxThread thread, PtxThread writer, bool isFirst)
    {
        if (!writer.IsNobody && !IsShown(word, thread, writer))
            throw new PtxFaultException($"{thread} reads byte {4 * word} of shared memory, which no fence of {writer} shows to the proxy");
        if (isFirst)
            _readers[word]++;
    }

    public void End(int word) => _readers[word]--;

    /// <summary>Whether the writer passed a proxy fence after the write and before the last barrier.</summary>
    private bool IsShown(int word, PtxThread thread, PtxThread writer)
    {
        if (!_fences.TryGetValue(writer.Index, out var fences))
            return false;
        for (int i = fences.Count - 1; i >= 0 && fences[i].Time > _written[word]; i--)
        {
            if (fences[i].Epoch < thread.Epoch || writer.Index / Lanes.Count == thread.Index / Lanes.Count)
                return true;
        }
        return false;
    }
}

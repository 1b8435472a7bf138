namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Memory of the host that a launch is given views of; nothing else can be reached.</summary>
internal sealed unsafe class GlobalMemory
{
    private readonly Buffer[] _buffers;

    /// <param name="views">First byte and size of every view of the arguments. Views of one tensor may overlap.</param>
    public GlobalMemory(IEnumerable<(ulong Address, long Bytes)> views)
    {
        var buffers = new List<Buffer>();
        foreach (var (address, size) in views.Where(view => view.Bytes > 0).OrderBy(view => view.Address))
        {
            ulong end = address + (ulong)size;
            if (buffers.Count > 0 && address < buffers[^1].End)
                buffers[^1] = new Buffer(buffers[^1].Start, Math.Max(end, buffers[^1].End));
            else
                buffers.Add(new Buffer(address, end));
        }
        _buffers = [.. buffers];
    }

    /// <param name="address">First byte.</param>
    /// <param name="count">Of bytes.</param>
    /// <param name="thread">Who reads.</param>
    /// <param name="alignment">Of the address, where it is not the count.</param>
    public ReadOnlySpan<byte> Read(ulong address, int count, PtxThread thread, int alignment = 0)
    {
        var buffer = BufferOf(address, count, thread, alignment == 0 ? count : alignment);
        for (int word = buffer.WordOf(address); word <= buffer.WordOf(address + (ulong)count - 1); word++)
            buffer.Log.Read(word, thread);
        return new ReadOnlySpan<byte>((void*)address, count);
    }

    /// <summary>Bytes for a thread to write to.</summary>
    public Span<byte> Write(ulong address, int count, PtxThread thread)
    {
        var buffer = BufferOf(address, count, thread, count);
        for (int word = buffer.WordOf(address); word <= buffer.WordOf(address + (ulong)count - 1); word++)
            buffer.Log.Write(word, thread);
        return new Span<byte>((void*)address, count);
    }

    /// <exception cref="PtxFaultException">The address is not a multiple of the alignment.</exception>
    public static void CheckAlignment(ulong address, int alignment, PtxThread thread)
    {
        if (address % (ulong)alignment != 0)
            throw new PtxFaultException($"{thread} names address {address:x}, no multiple of {alignment}");
    }

    private Buffer BufferOf(ulong address, int count, PtxThread thread, int alignment)
    {
        CheckAlignment(address, alignment, thread);
        foreach (var buffer in _buffers)
        {
            if (address >= buffer.Start && address + (ulong)count <= buffer.End)
                return buffer;
        }
        var nearest = _buffers.MinBy(buffer => Math.Abs((long)(address - buffer.Start)));
        throw new PtxFaultException($"{thread} reaches {count} bytes of global memory outside of its arguments"
            + (nearest is null ? "" : $", at {(long)(address - nearest.Start)} of a view of {nearest.End - nearest.Start} bytes"));
    }

    private sealed class Buffer(ulong start, ulong end)
    {
        private AccessLog? _log;

        public ulong Start => start;

        public ulong End => end;

        public AccessLog Log => _log ??= new AccessLog(WordOf(end - 1) + 1);

        public int WordOf(ulong address) => (int)((address - (start & ~3ul)) >> 2);
    }
}

namespace Diffusion.Gpu.Kernels;

/// <summary>A piece of device memory, handed out by a backend and returned to its pool.</summary>
internal abstract class MemoryBlock
{
    /// <summary>Room in floats.</summary>
    public abstract long Capacity { get; }
}

/// <summary>The values behind one tensor and all its reshapes; the identity that gradients are kept under.</summary>
internal sealed class Storage(Backend backend, MemoryBlock block, long offset, long count)
{
    private bool _ownsBlock = true;

    public Backend Backend { get; } = backend;

    /// <summary>Where the values lie.</summary>
    public MemoryBlock Block { get; } = block;

    /// <summary>First value within the block, in floats.</summary>
    public long Offset { get; } = offset;

    /// <summary>Values.</summary>
    public long Count { get; } = count;

    /// <summary>Holders: the scope that made it, and every recorded op that saved it.</summary>
    public int References { get; set; } = 1;

    public bool IsFreed { get; private set; }

    /// <summary>The trainable parameter whose value this is.</summary>
    public Parameter? Parameter { get; set; }

    /// <summary>Counts writes after the first; what a backend derives from the values (packed filters) is stale when it moved.</summary>
    public int Version { get; set; }

    /// <summary>What a backend derived from the values, with the version it was derived from.</summary>
    public IDisposable? Derived { get; set; }

    public int DerivedVersion { get; set; }

    /// <summary>A part of this storage that shares its memory and does not own it.</summary>
    public Storage Slice(long offset, long count) => new(Backend, Block, Offset + offset, count) { _ownsBlock = false };

    /// <summary>Drops one holder; the last one frees.</summary>
    public void Release()
    {
        if (--References == 0)
            Free();
    }

    private void Free()
    {
        IsFreed = true;
        Derived?.Dispose();
        Derived = null;
        if (_ownsBlock)
            Backend.Return(Block);
    }
}

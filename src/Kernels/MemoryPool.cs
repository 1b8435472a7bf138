using System.Numerics;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Keeps freed blocks by size, so that a training step finds the memory of the step before at the same addresses.
/// </summary>
/// <remarks>Sizes are rounded up to eighths of a power of two: at most 12.5 % is wasted and similar shapes share blocks.</remarks>
internal sealed class MemoryPool
{
    private const int SmallestBlock = 64;
    private readonly Dictionary<long, Stack<MemoryBlock>> _free = [];
    private long _live;
    private long _pooled;
    private long _peak;

    public MemoryUse Use => new(_live * sizeof(float), _pooled * sizeof(float), _peak * sizeof(float));

    public MemoryBlock Rent(long count, Func<long, MemoryBlock> allocate, Action<MemoryBlock> free)
    {
        long capacity = RoundUp(count);
        MemoryBlock block;
        if (_free.TryGetValue(capacity, out var blocks) && blocks.Count > 0)
        {
            block = blocks.Pop();
            _pooled -= capacity;
        }
        else
        {
            block = Allocate(capacity, allocate, free);
        }
        _live += capacity;
        _peak = Math.Max(_peak, _live);
        return block;
    }

    public void Return(MemoryBlock block)
    {
        if (!_free.TryGetValue(block.Capacity, out var blocks))
            _free[block.Capacity] = blocks = [];
        blocks.Push(block);
        _live -= block.Capacity;
        _pooled += block.Capacity;
    }

    public void Clear(Action<MemoryBlock> free)
    {
        foreach (var block in _free.Values.SelectMany(blocks => blocks))
            free(block);
        _free.Clear();
        _pooled = 0;
    }

    /// <summary>A full device gets a second try once the pool's idle blocks have been given back.</summary>
    private MemoryBlock Allocate(long capacity, Func<long, MemoryBlock> allocate, Action<MemoryBlock> free)
    {
        try
        {
            return allocate(capacity);
        }
        catch (Exception exception) when (exception is OutOfMemoryException or DeviceException && _pooled > 0)
        {
            Clear(free);
            return allocate(capacity);
        }
    }

    private static long RoundUp(long count)
    {
        long wanted = Math.Max(count, SmallestBlock);
        long step = Math.Max(SmallestBlock, (long)(BitOperations.RoundUpToPowerOf2((ulong)wanted) / 16));
        return (wanted + step - 1) / step * step;
    }
}

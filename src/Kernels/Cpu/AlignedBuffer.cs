namespace Diffusion.Gpu.Kernels;

/// <summary>Native memory aligned to a cache line that grows on demand and is kept; its contents do not survive growth.</summary>
internal sealed unsafe class AlignedBuffer : IDisposable
{
    private void* _memory;
    private long _bytes;

    ~AlignedBuffer() => Release();

    /// <summary>The memory, grown to at least the given number of values.</summary>
    /// <param name="count">Values wanted.</param>
    /// <returns>The start, aligned to a cache line; valid until the next call that asks for more.</returns>
    /// <exception cref="OutOfMemoryException">The system has no memory left.</exception>
    public T* Take<T>(long count)
        where T : unmanaged
    {
        long bytes = checked(Math.Max(count, 1) * sizeof(T));
        if (bytes > _bytes)
        {
            Release();
            _memory = NativePages.Allocate(checked((nuint)bytes));
            _bytes = bytes;
        }

        return (T*)_memory;
    }

    /// <summary>The memory for row pointers, which cannot be type arguments.</summary>
    /// <param name="count">Pointers wanted.</param>
    /// <returns>The start, valid until the next call that asks for more.</returns>
    public float** TakePointers(long count) => (float**)Take<nint>(count);

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (_memory is not null)
        {
            NativePages.Free(_memory);
            _memory = null;
            _bytes = 0;
        }
    }
}

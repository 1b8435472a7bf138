namespace Diffusion.Gpu.Kernels;

/// <summary>
/// What a processor must offer. This half owns memory; Backend.Ops.cs holds one method per primitive.
/// </summary>
/// <remarks>Destination passing: a method is given every output and workspace, never allocates a tensor and never returns one.
/// Work may be enqueued; only <see cref="Download"/> and <see cref="Synchronize"/> wait.</remarks>
internal abstract partial class Backend(Device device) : IDisposable
{
    private readonly MemoryPool _pool = new();

    public Device Device { get; } = device;

    public MemoryUse Memory => _pool.Use;

    /// <summary>Speed in double precision over speed in single precision; 0 where there is no double precision.</summary>
    public abstract double Float64Rate { get; }

    /// <summary>Kernels compiled and loaded so far; none where nothing is compiled at run time.</summary>
    public virtual KernelLoads Kernels => default;

    /// <summary>Runs work whose products are timed by every tile that they can have; what is measured is kept,
    /// and used from then on.</summary>
    /// <param name="work">Its results mean nothing.</param>
    /// <param name="progress">Told how many products are known.</param>
    /// <exception cref="DeviceException">There is nothing to choose between.</exception>
    public virtual void Tune(Action work, Action<int> progress)
        => throw new DeviceException(Device.Info.Id, "it has no tiles to choose between", "tune an NVIDIA GPU");

    /// <summary>Sentinels around what is allocated from now on: set by tests alone.</summary>
    public MemoryGuard? Guard { get; set; }

    /// <summary>Gets memory from the pool, or from the device.</summary>
    /// <exception cref="DeviceException">The device has no room; the message says how much was needed.</exception>
    public Storage Allocate(long count)
    {
        int margin = Guard is null ? 0 : MemoryGuard.Margin;
        var block = _pool.Rent(count + (2 * margin), AllocateBlock, FreeBlock);
        Guard?.Arm(block, count);
        return new Storage(this, block, margin, count);
    }

    /// <summary>Takes a block back into the pool.</summary>
    public void Return(MemoryBlock block)
    {
        Guard?.Inspect(block);
        _pool.Return(block);
    }

    /// <summary>Copies from the host.</summary>
    public abstract void Upload(ReadOnlySpan<float> source, Tensor destination);

    /// <summary>Copies to the host, after all enqueued work.</summary>
    public abstract void Download(Tensor source, Span<float> destination);

    /// <summary>Waits for all enqueued work.</summary>
    public abstract void Synchronize();

    public void Dispose()
    {
        Synchronize();
        _pool.Clear(FreeBlock);
        DisposeCore();
    }

    /// <summary>Gets memory from the device; throws <see cref="DeviceException"/> or <see cref="OutOfMemoryException"/> where there is
    /// none.</summary>
    /// <param name="capacity">Floats.</param>
    protected abstract MemoryBlock AllocateBlock(long capacity);

    protected abstract void FreeBlock(MemoryBlock block);

    /// <summary>Ends what the backend holds besides memory.</summary>
    protected abstract void DisposeCore();
}

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// A contiguous row-major array of 32-bit floats on a device; images are [N, H, W, C], filters [K, R, S, C], tokens [N, T, C].
/// </summary>
/// <remarks>A tensor made by a tape dies with the tape (or its scope) unless kept; only tensors from
/// <see cref="Device.NewTensor(Shape)"/> and <see cref="Tape.Keep"/> need disposing.</remarks>
public sealed class Tensor : IDisposable
{
    private readonly Storage _storage;

    internal Tensor(Device device, Shape shape, Storage storage)
    {
        Device = device;
        Shape = shape;
        _storage = storage;
    }

    /// <summary>Where the values lie.</summary>
    public Device Device { get; }

    /// <summary>The extents.</summary>
    public Shape Shape { get; }

    /// <summary>Number of values.</summary>
    public long Count => _storage.Count;

    /// <summary>The values' identity, under which gradients are kept; it outlives the values.</summary>
    internal Storage Identity => _storage;

    internal Storage Storage => _storage.IsFreed
        ? throw new ObjectDisposedException(nameof(Tensor), $"The tensor {Shape} died with its tape or scope; use Keep to hand it out.")
        : _storage;

    /// <summary>Copies the values to the host, waiting for pending work.</summary>
    public float[] ToArray()
    {
        var values = new float[Count];
        CopyTo(values);
        return values;
    }

    /// <summary>Copies the values to the host, waiting for pending work.</summary>
    /// <exception cref="ShapeException">The destination's length differs from <see cref="Count"/>.</exception>
    public void CopyTo(Span<float> destination)
    {
        Check.That(destination.Length == Count, nameof(destination), destination.Length, $"{Count} values");
        Device.Backend.Download(this, destination);
    }

    /// <summary>Overwrites the values from the host.</summary>
    /// <exception cref="ShapeException">The source's length differs from <see cref="Count"/>.</exception>
    public void CopyFrom(ReadOnlySpan<float> source)
    {
        Check.That(source.Length == Count, nameof(source), source.Length, $"{Count} values");
        Device.Backend.Upload(source, this);
        Storage.Version++;
    }

    /// <summary>The same values under another shape; gradients flow through it.</summary>
    /// <exception cref="ShapeException">The new shape has another number of values.</exception>
    public Tensor Reshape(Shape shape)
    {
        Check.That(shape.Count == Count, nameof(shape), shape, $"{Count} values, as {Shape} has");
        return new Tensor(Device, shape, Storage);
    }

    /// <summary>Returns the memory of a tensor that no tape owns.</summary>
    public void Dispose()
    {
        if (!_storage.IsFreed)
            _storage.Release();
    }
}

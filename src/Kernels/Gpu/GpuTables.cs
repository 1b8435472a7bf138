using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace Diffusion.Gpu.Kernels;

/// <summary>Small tables that kernels read: computed on the host, uploaded once.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>Resizing a folder of images of many sizes must not fill the device with taps.</summary>
    private const int MostTables = 256;

    private readonly Dictionary<float[], Storage> _tables = new(new SameValues());
    private Storage? _normalTable;

    /// <summary>The coefficients of <see cref="NormalTable"/>.</summary>
    private ArrayView<int> NormalCoefficients
        => View(_normalTable ??= Store(MemoryMarshal.Cast<int, float>(NormalTable.Coefficients))).Cast<int>();

    /// <summary>A table on the device; equal values share one.</summary>
    private ArrayView<float> Table(float[] values)
    {
        if (_tables.TryGetValue(values, out var storage))
            return View(storage);
        if (_tables.Count == MostTables)
        {
            foreach (var old in _tables.Values)
                old.Release();
            _tables.Clear();
        }
        return View(_tables[values] = Store(values));
    }

    private Storage Store(ReadOnlySpan<float> values)
    {
        var storage = Allocate(values.Length);
        View(storage).CopyFromCPU(_stream, values);
        return storage;
    }

    private sealed class SameValues : IEqualityComparer<float[]>
    {
        public bool Equals(float[]? x, float[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(float[] values)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(values.AsSpan()));
            return hash.ToHashCode();
        }
    }
}

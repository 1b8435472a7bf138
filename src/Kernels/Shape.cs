using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>The extents of a tensor, outermost first; images are [N, H, W, C].</summary>
[CollectionBuilder(typeof(Shape), nameof(Create))]
public readonly struct Shape : IEquatable<Shape>
{
    private readonly int[] _extents;

    private Shape(int[] extents) => _extents = extents;

    /// <summary>Makes a shape from its extents, each at least 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An extent is below 1.</exception>
    public static Shape Create(ReadOnlySpan<int> extents)
    {
        foreach (int extent in extents)
            ArgumentOutOfRangeException.ThrowIfLessThan(extent, 1, nameof(extents));
        return new Shape(extents.ToArray());
    }

    /// <summary>Number of axes.</summary>
    public int Rank => _extents?.Length ?? 0;

    /// <summary>Number of values: the product of the extents.</summary>
    public long Count
    {
        get
        {
            long count = 1;
            foreach (int extent in Extents)
                count *= extent;
            return count;
        }
    }

    /// <summary>The extent of one axis.</summary>
    public int this[Index axis] => Extents[axis];

    /// <summary>The extents, outermost first.</summary>
    public ReadOnlySpan<int> Extents => _extents;

    /// <summary>Enumerates the extents, outermost first.</summary>
    public ReadOnlySpan<int>.Enumerator GetEnumerator() => Extents.GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(Shape other) => Extents.SequenceEqual(other.Extents);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (int extent in Extents)
            hash.Add(extent);
        return hash.ToHashCode();
    }

    /// <summary>Writes the shape as [2, 32, 32, 3].</summary>
    public override string ToString() => $"[{string.Join(", ", _extents ?? [])}]";

    /// <summary>Tells whether two shapes have the same extents.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>Tells whether two shapes differ.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);
}

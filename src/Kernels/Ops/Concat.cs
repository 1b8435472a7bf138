namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Joins two tensors along the channels, a first.</summary>
    /// <param name="a">[.., A].</param>
    /// <param name="b">[.., B], all other extents as a's.</param>
    /// <returns>[.., A + B].</returns>
    /// <exception cref="ShapeException">Another extent than the last differs.</exception>
    /// <remarks>Gradients: a, b.</remarks>
    public Tensor Concat(Tensor a, Tensor b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Check.That(a.Shape.Rank == b.Shape.Rank && a.Shape.Extents[..^1].SequenceEqual(b.Shape.Extents[..^1]), nameof(b), b.Shape,
            $"{a.Shape} but for the channels");
        int columnsA = a.Shape[^1], columnsB = b.Shape[^1];
        int rows = (int)(a.Count / columnsA);
        int[] output = a.Shape.Extents.ToArray();
        output[^1] = columnsA + columnsB;
        var y = New(Shape.Create(output));
        Backend.ConcatForward(rows, columnsA, columnsB, a, b, y);
        return Record(y, [a, b], [], (gradients, dy)
            => Backend.ConcatBackward(rows, columnsA, columnsB, dy, gradients.To(a), gradients.To(b)));
    }

    /// <summary>Parts the channels in two: what <see cref="Concat"/> joined.</summary>
    /// <param name="x">[.., A + B].</param>
    /// <param name="channels">A, at least 1 and less than all.</param>
    /// <returns>[.., A] and [.., B].</returns>
    /// <exception cref="ShapeException">There are no channels left for one of them.</exception>
    /// <remarks>No gradient.</remarks>
    public (Tensor First, Tensor Second) Split(Tensor x, int channels)
    {
        ArgumentNullException.ThrowIfNull(x);
        int columns = x.Shape[^1];
        Check.That(channels >= 1 && channels < columns, nameof(channels), channels, $"1 to {columns - 1} for {x.Shape}");
        int[] first = x.Shape.Extents.ToArray(), second = x.Shape.Extents.ToArray();
        (first[^1], second[^1]) = (channels, columns - channels);
        Tensor a = New(Shape.Create(first)), b = New(Shape.Create(second));
        Backend.ConcatBackward((int)(x.Count / columns), channels, columns - channels, x, new GradientTarget(a, false),
            new GradientTarget(b, false));
        return (a, b);
    }
}

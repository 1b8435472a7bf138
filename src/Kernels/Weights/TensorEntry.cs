namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>What a file says about one of its tensors.</summary>
/// <param name="Name">Unique within the file.</param>
/// <param name="Type">Type of the elements.</param>
/// <param name="Shape">Sizes, outermost first; empty for a scalar.</param>
/// <param name="ByteLength">Bytes of the elements, uncompressed.</param>
public sealed record TensorEntry(string Name, ElementType Type, IReadOnlyList<int> Shape, long ByteLength)
{
    /// <summary>Number of elements: the product of the shape, 1 for a scalar.</summary>
    public long Count => ByteLength / Type.Size();

    /// <summary>Bytes that a shape takes, or null when it exceeds what any file can hold.</summary>
    internal static long? Bytes(ElementType type, IReadOnlyList<int> shape)
    {
        long bytes = type.Size();
        foreach (int size in shape)
        {
            // long.MaxValue leaves room for offsets to be added without a check.
            if (size != 0 && bytes > (long.MaxValue >> 8) / size)
            {
                return null;
            }

            bytes *= size;
        }

        return bytes;
    }
}

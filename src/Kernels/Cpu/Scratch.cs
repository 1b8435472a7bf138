namespace Diffusion.Gpu.Kernels;

/// <summary>Working memory of the light ops, kept per thread between calls.</summary>
internal static unsafe class Scratch
{
    [ThreadStatic] private static AlignedBuffer? _op;
    [ThreadStatic] private static AlignedBuffer? _item;

    /// <summary>Memory of the thread that calls an op, for what its work items hand to each other; one per op.</summary>
    /// <param name="count">Values; their contents are undefined.</param>
    public static T* ForOp<T>(long count)
        where T : unmanaged
        => (_op ??= new AlignedBuffer()).Take<T>(count);

    /// <summary>Memory of the thread that runs a work item; one per item.</summary>
    /// <param name="count">Floats; their contents are undefined.</param>
    public static float* ForItem(long count) => (_item ??= new AlignedBuffer()).Take<float>(count);
}

namespace Diffusion.Gpu.Kernels;

/// <summary>The working memory of one thread of the matrix engine, kept between calls.</summary>
internal sealed unsafe class GemmScratch
{
    [ThreadStatic] private static GemmScratch? _current;

    /// <summary>The scratch of the calling thread.</summary>
    public static GemmScratch Current => _current ??= new GemmScratch();

    /// <summary>Padded or joined copy of the part of the input that a block of pixels reads.</summary>
    public AlignedBuffer Slab { get; } = new();

    /// <summary>A pixel outside every image.</summary>
    public AlignedBuffer Zeros { get; } = new();

    /// <summary>Row pointers of a block.</summary>
    public AlignedBuffer Pointers { get; } = new();

    /// <summary>The pixels of a block in the order of tiles.</summary>
    public AlignedBuffer Order { get; } = new();

    /// <summary>Target rows of a block.</summary>
    public AlignedBuffer Targets { get; } = new();

    /// <summary>The left operand of a block, six columns at a time.</summary>
    public AlignedBuffer Packed { get; } = new();

    /// <summary>Starts of the rows of both sides of a product over a block's pixels.</summary>
    public AlignedBuffer Pairs { get; } = new();

    /// <summary>Columns of a block that do not fill a register.</summary>
    public AlignedBuffer Tail { get; } = new();

    /// <summary>Partial sums of a whole call, owned by the thread that makes the call and read by all.</summary>
    public AlignedBuffer Partials { get; } = new();

    /// <summary>A transposed operand of a whole call, owned like <see cref="Partials"/>.</summary>
    public AlignedBuffer Transposed { get; } = new();

    /// <summary>Panels of a whole call, owned like <see cref="Partials"/>.</summary>
    public PackedMatrix Panels { get; } = new();
}

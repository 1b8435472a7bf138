using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Runs every pass with each buffer against an unreadable page, first its end, then its start.</summary>
[NonParallelizable]
[Platform("Linux")]
public sealed unsafe partial class GemmBoundsTests
{
    // N, H, W, C, K, R, S, stride, padH, padW
    private static readonly Conv2DShape[] Shapes =
    [
        new(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
        new(2, 5, 7, 3, 5, 3, 3, 1, 1, 1),
        new(2, 5, 7, 3, 5, 3, 3, 1, 0, 0),
        new(7, 1, 1, 63, 65, 1, 1, 1, 0, 0),
        new(5, 1, 1, 65, 3, 1, 1, 1, 0, 0),
        new(1, 9, 9, 16, 17, 3, 3, 2, 0, 0),
        new(1, 8, 8, 64, 64, 2, 2, 2, 0, 0),
        new(1, 11, 11, 3, 64, 7, 7, 1, 3, 3),
        new(3, 4, 4, 192, 10, 3, 3, 1, 1, 1),
        new(1, 3, 3, 64, 6, 5, 5, 1, 4, 4),
    ];

    [Test]
    public void No_pass_reads_or_writes_outside_its_buffers([ValueSource(nameof(Shapes))] Conv2DShape s, [Values] bool atEnd)
    {
        using var x = new FencedBuffer(s.N * s.H * s.W * s.C, atEnd);
        using var filter = new FencedBuffer(s.K * s.Depth, atEnd);
        using var bias = new FencedBuffer(s.K, atEnd);
        using var residual = new FencedBuffer(s.Pixels * s.K, atEnd);
        using var y = new FencedBuffer(s.Pixels * s.K, atEnd);
        using var dx = new FencedBuffer(s.N * s.H * s.W * s.C, atEnd);
        using var dFilter = new FencedBuffer(s.K * s.Depth, atEnd);
        using var dBias = new FencedBuffer(s.K, atEnd);
        using var packed = new PackedFilter();

        packed.PackForward(MicroKernel.Widest, s, filter.Pointer);
        var epilogue = new GemmEpilogue(bias.Pointer, residual.Pointer, s.K, Activation.Silu);
        GemmConv2D.Forward(s, x.Pointer, packed, epilogue, y.Pointer, s.K);
        packed.PackBackwardInput(MicroKernel.Widest, s, filter.Pointer);
        GemmConv2D.BackwardInput(s, y.Pointer, packed, dx.Pointer, accumulate: true);
        GemmConv2D.BackwardFilter(s, x.Pointer, y.Pointer, dFilter.Pointer, accumulate: true);
        GemmColumnSum.Run(s.Pixels, s.K, y.Pointer, dBias.Pointer, accumulate: false);

        // A stray access ends the process; that the passes ran shows in what they wrote.
        Assert.That(dFilter.Values.ToArray(), Has.Some.Not.EqualTo(FencedBuffer.Fill));
    }

    /// <summary>Memory that ends, or starts, at a page which may not be touched.</summary>
    private sealed partial class FencedBuffer : IDisposable
    {
        public const float Fill = 0.5f;
        private const int NoAccess = 0, ReadWrite = 3, PrivateAnonymous = 0x22;
        private readonly byte* _mapping;
        private readonly nuint _length;
        private readonly int _count;

        public FencedBuffer(int count, bool atEnd)
        {
            nuint page = (nuint)Environment.SystemPageSize, bytes = (nuint)count * sizeof(float), room = (bytes + page - 1) / page * page;
            _count = count;
            _length = room + (2 * page);
            _mapping = (byte*)Map(null, _length, ReadWrite, PrivateAnonymous, -1, 0);
            Assert.That((nint)_mapping, Is.Not.EqualTo((nint)(-1)), "no memory for a fenced buffer");
            Assert.That(Protect(_mapping, page, NoAccess) | Protect(_mapping + page + room, page, NoAccess), Is.Zero);
            Pointer = (float*)(_mapping + page + (atEnd ? room - bytes : 0));
            Values.Fill(Fill);
        }

        public float* Pointer { get; }

        public Span<float> Values => new(Pointer, _count);

        public void Dispose() => Assert.That(Unmap(_mapping, _length), Is.Zero);

        [LibraryImport("libc", EntryPoint = "mmap")]
        private static partial void* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

        [LibraryImport("libc", EntryPoint = "mprotect")]
        private static partial int Protect(void* address, nuint length, int protection);

        [LibraryImport("libc", EntryPoint = "munmap")]
        private static partial int Unmap(void* address, nuint length);
    }
}

using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>Native memory for values that loops stream over: aligned to cache lines, on large pages where the system has them.</summary>
/// <remarks>
/// Linux by default gives large pages only to those who ask. A core translates addresses of 6 MiB without a walk through page tables
/// on small pages, of gigabytes on large ones; in a virtual machine each walk costs twice.
/// </remarks>
internal static unsafe partial class NativePages
{
    private const nuint CacheLine = 64;
    private const nuint LargePage = 2 << 20;

    /// <summary>Smallest size that is rounded up to large pages: at most doubled.</summary>
    private const nuint LargeFrom = LargePage / 2;

    private const int MadviseHugePage = 14;

    /// <summary>Allocates memory; its contents are undefined.</summary>
    /// <param name="bytes">Bytes wanted.</param>
    /// <returns>The start, aligned to a cache line, for <see cref="Free"/>.</returns>
    /// <exception cref="OutOfMemoryException">The system has no memory left.</exception>
    public static void* Allocate(nuint bytes)
    {
        if (bytes < LargeFrom || !OperatingSystem.IsLinux())
            return NativeMemory.AlignedAlloc(bytes, CacheLine);
        nuint whole = (checked(bytes + LargePage) - 1) / LargePage * LargePage;
        void* memory = NativeMemory.AlignedAlloc(whole, LargePage);
        Advise(memory, whole);
        return memory;
    }

    /// <summary>Frees what <see cref="Allocate"/> gave.</summary>
    /// <param name="memory">The start.</param>
    public static void Free(void* memory) => NativeMemory.AlignedFree(memory);

    /// <summary>Asks for large pages; a system without them leaves the memory as it is.</summary>
    private static void Advise(void* memory, nuint bytes)
    {
        try
        {
            _ = MemoryAdvise(memory, bytes, MadviseHugePage);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            // Small pages do as well, only slower.
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MemoryAdvise(void* address, nuint length, int advice);
}

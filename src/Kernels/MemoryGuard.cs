using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Surrounds every tensor with sentinels and fills it with them, so that tests see stray writes and unwritten values on any device.
/// </summary>
/// <remarks>The sentinel is a NaN of its own bits: what a kernel computes from an unwritten value is NaN too. Blocks are inspected
/// when they are returned.</remarks>
internal sealed class MemoryGuard(Backend backend)
{
    /// <summary>Sentinels before a tensor, and at least as many behind it, in floats: keeps the alignment of a block's beginning.</summary>
    public const int Margin = 64;

    private const uint Sentinel = 0x7FC0DEAD;
    private readonly Dictionary<MemoryBlock, long> _counts = [];

    /// <summary>What was found wrong, one line per tensor.</summary>
    public List<string> Faults { get; } = [];

    /// <summary>Writes sentinels over a block that is about to hold a tensor.</summary>
    public void Arm(MemoryBlock block, long count)
    {
        _counts[block] = count;
        var sentinels = new uint[block.Capacity];
        Array.Fill(sentinels, Sentinel);
        backend.Upload(MemoryMarshal.Cast<uint, float>(sentinels), Whole(block));
    }

    /// <summary>Looks for writes beside the tensor that a block held.</summary>
    public void Inspect(MemoryBlock block)
    {
        if (!_counts.Remove(block, out long count))
            return;
        var values = new uint[block.Capacity];
        backend.Download(Whole(block), MemoryMarshal.Cast<uint, float>(values.AsSpan()));
        for (long i = 0; i < values.Length; i++)
        {
            if ((i < Margin || i >= Margin + count) && values[i] != Sentinel)
            {
                Faults.Add($"wrote {BitConverter.UInt32BitsToSingle(values[i])} at {i - Margin} of a tensor of {count} values");
                return;
            }
        }
    }

    private Tensor Whole(MemoryBlock block)
        => new(backend.Device, [checked((int)block.Capacity)], new Storage(backend, block, 0, block.Capacity));
}

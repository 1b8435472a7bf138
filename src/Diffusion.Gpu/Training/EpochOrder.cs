using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Training;

/// <summary>The order in which a data set is seen: a function of seed and position, so that resuming needs no state.</summary>
/// <remarks>Every epoch is a new permutation (Fisher and Yates, with Philox words); positions run across epochs, so every batch is full.
/// Safe to be asked from several threads.</remarks>
internal sealed class EpochOrder(ulong seed, int count)
{
    private readonly Lock _gate = new();
    private readonly (uint Epoch, int[]? Order)[] _recent = new (uint, int[]?)[2];

    /// <summary>The image at a position of the endless sequence of epochs, and whether it is mirrored this time.</summary>
    public (int Image, bool Flip) At(long position)
    {
        uint epoch = checked((uint)(position / count));
        int image = Permutation(epoch)[(int)(position % count)];
        return (image, Philox.Uniform(new RandomKey(seed, RandomStream.Flip, epoch), (uint)image, 0) < 0.5f);
    }

    /// <summary>The permutation of one epoch; the two latest stay in memory, because batches straddle epochs.</summary>
    private int[] Permutation(uint epoch)
    {
        lock (_gate)
        {
            ref var slot = ref _recent[epoch & 1];
            if (slot.Order is null || slot.Epoch != epoch)
                slot = (epoch, Shuffle(epoch));
            return slot.Order!;
        }
    }

    private int[] Shuffle(uint epoch)
    {
        var key = new RandomKey(seed, RandomStream.DataOrder, epoch);
        var order = new int[count];
        for (int i = 0; i < count; i++)
        {
            int j = Philox.Integer(key, 0, (uint)i, i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }
}

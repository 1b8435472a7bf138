using System.Buffers.Binary;
using System.Numerics;
using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Reads what torch.save wrote before 1.6: pickles of a magic number, the protocol, the machine, the object and the storages'
/// keys, then each storage as its number of elements and the elements.</summary>
/// <remarks>torch/serialization.py, _legacy_save and _legacy_load.</remarks>
internal static class TorchLegacyFile
{
    private const long Protocol = 1001;
    /// <summary>Opens the stream.</summary>
    public static readonly BigInteger Magic = BigInteger.Parse("1950a86a20f9469cfc6c", System.Globalization.NumberStyles.HexNumber);

    /// <summary>Reads the pickles and finds the storages behind them; their elements are read when they are asked for.</summary>
    /// <exception cref="WeightsException">The file is damaged, hostile or not a saved object of tensors.</exception>
    public static TorchFile Read(string path, SafeFileHandle file)
    {
        long length = RandomAccess.GetLength(file);
        var storages = new Dictionary<string, TorchStorage>(StringComparer.Ordinal);
        var input = new PickleInput(path, null, file, 0, length);
        var machine = new PickleMachine(input, identifier => StorageOf(storages, identifier));
        if (machine.Load() is not BigInteger magic || magic != Magic)
            throw Fault(path, "its magic number is wrong");
        if (machine.Load() is not (long and Protocol))
            throw Fault(path, $"it is of another protocol than {Protocol}");
        if (machine.Load() is not PickleDictionary system || system.Items.GetValueOrDefault("little_endian") is not true)
        {
            throw new WeightsException(path, null, "it was written on a machine of another byte order",
                "load and save it with PyTorch on a little-endian machine");
        }
        object? root = machine.Load();
        if (machine.Load() is not PickleSequence keys)
            throw Fault(path, "it has no list of storages");
        return new TorchFile(path, file, "torch legacy stream", root, FindBlocks(path, file, storages, keys, input.FilePosition, length));
    }

    private static TorchStorage StorageOf(Dictionary<string, TorchStorage> storages, PickleSequence identifier)
    {
        var storage = TorchStorages.Parse(identifier);
        if (!storages.TryAdd(storage.Key, storage) && storages[storage.Key] != storage)
            throw new PickleFault($"storage '{storage.Key}' is described in two ways", PickleFault.Damaged);
        // Before 1.0 a storage could be a part of another.
        return identifier.Items.Count < 6 || identifier.Items[5] is null ? storage : identifier.Items[5] switch
        {
            PickleSequence { Items: [string, long first and >= 0, long count and >= 0] } when first <= storage.Count - count
                => storage with { First = first, Count = count },
            _ => throw new PickleFault($"a part of storage '{storage.Key}' that it does not have", PickleFault.Damaged),
        };
    }

    private static Dictionary<string, StorageBlock> FindBlocks(string path, SafeFileHandle file, Dictionary<string, TorchStorage> storages,
        PickleSequence keys, long position, long length)
    {
        var blocks = new Dictionary<string, StorageBlock>(StringComparer.Ordinal);
        Span<byte> count = stackalloc byte[8];
        foreach (object? key in keys.Items)
        {
            if (key is not string name || storages.GetValueOrDefault(name) is not { } storage)
                throw Fault(path, $"it has a storage '{key}' that the saved object does not mention");
            if (position > length - count.Length)
                throw CutShort(path, name, position);
            FileBytes.Read(path, file, count, position);
            position += count.Length;
            if (BinaryPrimitives.ReadInt64LittleEndian(count) is var stored && stored != storage.Count)
                throw Fault(path, $"storage '{name}' has {stored} elements where {storage.Count} are announced");
            if (storage.Count > (length - position) / storage.Type.Size)
                throw CutShort(path, name, position);
            if (!blocks.TryAdd(name, new StorageBlock(name, position, storage.Count * storage.Type.Size, 0)))
                throw Fault(path, $"storage '{name}' occurs twice");
            position += storage.Count * storage.Type.Size;
        }
        foreach (string missing in storages.Keys.Where(name => !blocks.ContainsKey(name)).Take(1))
            throw Fault(path, $"storage '{missing}' is missing");
        return blocks;
    }

    private static WeightsException CutShort(string path, string storage, long position)
        => new(path, null, $"storage '{storage}' begins at byte {position} and reaches beyond the end of the file",
            "the file is cut short: fetch or copy it again");

    private static WeightsException Fault(string path, string got) => new(path, null, got, PickleFault.Damaged);
}

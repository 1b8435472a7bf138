using System.Text;
using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Reads what torch.save writes since 1.6: a zip archive of a pickle and one record per storage.</summary>
/// <remarks>torch/serialization.py and caffe2/serialize/inline_container.cc. The prefix of the records is the file's first name in some
/// versions and "archive" in others, so it is taken from the record that ends in data.pkl.</remarks>
internal static class TorchZipFile
{
    private const string PickleName = "data.pkl";
    private const int LongestByteOrder = 16;

    /// <summary>Reads the archive's directory and its pickle; the storages are read when they are asked for.</summary>
    /// <exception cref="WeightsException">The file is damaged, hostile or not a saved object of tensors.</exception>
    public static TorchFile Read(string path, SafeFileHandle file)
    {
        var records = ZipRecords.Read(path, file);
        var pickle = FindPickle(path, records);
        string prefix = pickle.Name[..^PickleName.Length];
        Check(path, pickle);
        CheckKind(path, file, records, prefix);
        Verify(path, file, pickle);
        var blocks = new Dictionary<string, StorageBlock>(StringComparer.Ordinal);
        var machine = new PickleMachine(new PickleInput(path, pickle.Name, file, pickle.Start, pickle.Length), StorageOf);
        return new TorchFile(path, file, "torch zip", machine.Load(), blocks);

        TorchStorage StorageOf(PickleSequence identifier)
        {
            var storage = TorchStorages.Parse(identifier);
            string name = $"{prefix}data/{storage.Key}";
            var record = records.Find(name)
                ?? throw new PickleFault($"record '{name}' is missing", "the file is incomplete: fetch or copy it again");
            if (record.Fault is { } fault)
                throw new PickleFault($"record '{name}' {fault}", "torch stores records as they are: pack the archive again with zip -0");
            if (record.Length / storage.Type.Size != storage.Count)
            {
                throw new PickleFault($"record '{name}' has {record.Length} bytes for {storage.Count} elements of {storage.Type.Name}",
                    PickleFault.Damaged);
            }
            blocks[storage.Key] = new StorageBlock(name, record.Start, record.Length, record.Checksum);
            return storage;
        }
    }

    private static ZipRecord FindPickle(string path, ZipRecords records)
    {
        var pickles = records.All.Where(record => record.Name == PickleName
            || record.Name.EndsWith("/" + PickleName, StringComparison.Ordinal))
            .ToList();
        if (pickles is [var pickle])
            return pickle;
        string got = pickles.Count > 1 ? $"it has {pickles.Count} records called {PickleName}"
            : records.All.Any(record => record.Name.EndsWith(".npy", StringComparison.Ordinal)) ? "this is a .npz archive of numpy arrays"
            : $"this zip archive has no record {PickleName}";
        throw new WeightsException(path, null, got, "expected an archive that torch.save wrote");
    }

    private static void CheckKind(string path, SafeFileHandle file, ZipRecords records, string prefix)
    {
        if (records.Find(prefix + "constants.pkl") is not null)
        {
            throw new WeightsException(path, null, "this is a TorchScript archive, which is a program",
                "in PyTorch, save torch.jit.load(file).state_dict() instead");
        }
        if (records.Find(prefix + "byteorder") is { Length: > 0 and <= LongestByteOrder } order)
        {
            var text = new byte[order.Length];
            FileBytes.Read(path, file, text, order.Start);
            if (Encoding.ASCII.GetString(text) != "little")
            {
                throw new WeightsException(path, null, "it was written on a machine of another byte order",
                    "load and save it with PyTorch on a little-endian machine");
            }
        }
    }

    private static void Check(string path, ZipRecord record)
    {
        if (record.Fault is { } fault)
            throw new WeightsException(path, null, $"record '{record.Name}' {fault}",
                "torch stores records as they are: pack the archive again with zip -0");
    }

    private static void Verify(string path, SafeFileHandle file, ZipRecord record)
    {
        uint checksum = 0;
        new TensorBytes(path, file).Copy(record.Start, record.Length, part => checksum = Crc32.Compute(part, checksum));
        if (record.Checksum != 0 && checksum != record.Checksum)
            throw new WeightsException(path, null, $"the checksum of record '{record.Name}' is wrong",
                "the file is damaged: fetch or copy it again");
    }
}

/// <summary>What a pickle says about a storage.</summary>
internal static class TorchStorages
{
    /// <summary>Reads ("storage", class, key, device, count, …).</summary>
    /// <exception cref="PickleFault">It is none.</exception>
    public static TorchStorage Parse(PickleSequence identifier)
    {
        if (identifier.Items is not
            ["storage", TorchGlobal kind, string { Length: <= ValueTree.LongestName } key, string, long count and >= 0, ..])
        {
            throw new PickleFault(identifier.Items is ["module", ..]
                    ? "it holds a module's source code" : "a reference to something that is no storage",
                "in PyTorch, save the model's state_dict() instead");
        }
        var type = kind == TorchGlobals.UntypedStorage ? TorchType.Byte
            : kind.Type ?? throw new PickleFault($"a storage of class {kind.Name}", PickleFault.Damaged);
        return count <= (long.MaxValue >> 8) / type.Size
            ? new TorchStorage(key, type, count)
            : throw new PickleFault($"a storage of {count} elements", PickleFault.Damaged);
    }
}

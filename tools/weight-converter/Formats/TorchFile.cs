using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>Where in a file a storage lies.</summary>
/// <param name="Label">Its name in messages.</param>
/// <param name="Start">First byte.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Checksum">CRC-32 of them; 0 for none.</param>
internal sealed record StorageBlock(string Label, long Start, long Length, uint Checksum);

/// <summary>A file that torch.save wrote: an object with tensors in it, whose storages lie elsewhere in the file.</summary>
internal sealed class TorchFile : WeightFile
{
    /// <summary>How many times the file's length its tensors may take together: storages can be shared, but not without end.</summary>
    private const int MostSharing = 16;

    private const long AlwaysAllowed = 64 << 20;
    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, TorchTensor> _geometry = new(StringComparer.Ordinal);
    private readonly Dictionary<string, StorageBlock> _blocks;
    private readonly HashSet<string> _verified = new(StringComparer.Ordinal);

    /// <param name="path">The file.</param>
    /// <param name="file">The open file; closed with this object.</param>
    /// <param name="format">In words.</param>
    /// <param name="root">The saved object.</param>
    /// <param name="blocks">Where every storage lies that the object mentions.</param>
    /// <exception cref="WeightsException">The object is nested too deeply, or its tensors take more than the file could hold.</exception>
    public TorchFile(string path, SafeFileHandle file, string format, object? root, Dictionary<string, StorageBlock> blocks)
        : base(path, format)
    {
        _file = file;
        _blocks = blocks;
        Root = root;
        var tree = ValueTree.Of(path, root);
        Scalars = tree.Scalars;
        var tensors = new List<StoredTensor>(tree.Tensors.Count);
        long most = (MostSharing * RandomAccess.GetLength(file)) + AlwaysAllowed, bytes = 0;
        foreach (var (name, tensor) in tree.Tensors)
        {
            var stored = new StoredTensor(name.Length == 0 ? "tensor" : name, tensor.Type, tensor.Shape);
            bytes = Math.Min(long.MaxValue >> 1, bytes + stored.ByteLength);
            if (bytes > most)
            {
                throw new WeightsException(path, stored.Name, $"with it the tensors take {bytes} bytes, far more than the file has",
                    "tensors that repeat one storage this often are not unpacked: in PyTorch, save tensor.clone()");
            }
            if (!_geometry.TryAdd(stored.Name, tensor))
                throw new WeightsException(path, stored.Name, "two tensors have this name", "in PyTorch, save them under different keys");
            tensors.Add(stored);
        }
        Tensors = tensors;
    }

    public override void CopyTo(StoredTensor tensor, Stream destination)
    {
        var geometry = _geometry[tensor.Name];
        var block = _blocks[geometry.Storage.Key];
        var bytes = new TensorBytes(Path, _file);
        long start = block.Start + (geometry.Storage.First * geometry.Storage.Type.Size);
        if (block.Checksum == 0 || _verified.Contains(geometry.Storage.Key))
        {
            bytes.Copy(start, geometry, destination);
            return;
        }
        uint checksum = 0;
        bool isWhole = geometry.Offset == 0 && tensor.ByteLength == block.Length && TensorBytes.IsContiguous(geometry);
        // The usual tensor is all of its storage: then one pass reads, checks and writes.
        bytes.Copy(block.Start, block.Length, part =>
        {
            checksum = Crc32.Compute(part, checksum);
            if (isWhole)
                destination.Write(part);
        });
        if (checksum != block.Checksum)
        {
            throw new WeightsException(Path, tensor.Name, $"the checksum of record '{block.Label}' is wrong",
                "the file is damaged: fetch or copy it again");
        }
        _verified.Add(geometry.Storage.Key);
        if (!isWhole)
            bytes.Copy(start, geometry, destination);
    }

    public override void Dispose() => _file.Dispose();
}

using System.Runtime.InteropServices;
using Diffusion.Gpu.Kernels.Weights;
using Microsoft.Win32.SafeHandles;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A tensor that can be read from a file.</summary>
/// <param name="Name">Dotted name within the file.</param>
/// <param name="Type">Type of the elements.</param>
/// <param name="Shape">Sizes, outermost first; empty for a scalar.</param>
internal sealed record StoredTensor(string Name, TorchType Type, int[] Shape)
{
    /// <summary>Number of elements.</summary>
    public long Count { get; } = Shape.Aggregate(1L, (count, size) => count * size);

    /// <summary>Bytes of the elements.</summary>
    public long ByteLength => Count * Type.Size;

    /// <summary>The same in the words of this project's readers; types that they lack come out as bytes.</summary>
    public TensorEntry Entry => new(Name, Type.Element ?? ElementType.U8, Shape, ByteLength);

    /// <summary>The shape as [2, 3].</summary>
    public string ShapeText => $"[{string.Join(", ", Shape)}]";
}

/// <summary>A file of named tensors, whatever its format; no more than one tensor is in memory at a time.</summary>
internal abstract class WeightFile : IDisposable
{
    private Dictionary<string, StoredTensor>? _byName;

    /// <param name="path">The file.</param>
    /// <param name="format">The file's format, in words.</param>
    protected WeightFile(string path, string format)
    {
        Path = path;
        Format = format;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The file's format, in words.</summary>
    public string Format { get; }

    /// <summary>The tensors in the order of the file.</summary>
    public IReadOnlyList<StoredTensor> Tensors { get; protected init; } = [];

    /// <summary>Everything else, under its dotted name.</summary>
    public IReadOnlyList<(string Name, object? Value)> Scalars { get; protected init; } = [];

    /// <summary>The saved object: containers of tensors and other values; null for formats without nesting.</summary>
    public object? Root { get; protected init; }

    /// <summary>Free-form pairs of a safetensors header.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; protected init; } = new Dictionary<string, string>();

    /// <summary>Opens a file of any format that this program knows; the content decides which.</summary>
    /// <exception cref="WeightsException">The file is missing, damaged, hostile or of another format.</exception>
    public static WeightFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
            throw new WeightsException(path, null, "this is a folder", "expected a file in it");
        SafeFileHandle file;
        try
        {
            file = File.OpenHandle(path, options: FileOptions.RandomAccess);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new WeightsException(path, null, $"cannot be opened ({error.Message.TrimEnd('.')})",
                "check the path and that you may read the file", error);
        }
        try
        {
            var begin = new byte[(int)Math.Min(512, RandomAccess.GetLength(file))];
            FileBytes.Read(path, file, begin, 0);
            switch (FileKinds.Of(begin))
            {
                case FileKind.Zip:
                    return TorchZipFile.Read(path, file);
                case FileKind.Legacy:
                    return TorchLegacyFile.Read(path, file);
                case FileKind.Safetensors:
                    file.Dispose();
                    return SafetensorsFile.Read(path);
                default:
                    throw new WeightsException(path, null, FileKinds.Describe(begin),
                        "expected a .pt or .pth file that torch.save wrote, or a .safetensors file");
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The tensor of a name, or null.</summary>
    public StoredTensor? Find(string name)
    {
        _byName ??= Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        return _byName.GetValueOrDefault(name);
    }

    /// <summary>A value that is no tensor, or null.</summary>
    public object? Scalar(string name) => Scalars.FirstOrDefault(scalar => scalar.Name == name).Value;

    /// <summary>Writes a tensor's elements, little-endian and row-major.</summary>
    /// <exception cref="WeightsException">The file is damaged, or was cut short meanwhile.</exception>
    public abstract void CopyTo(StoredTensor tensor, Stream destination);

    /// <summary>Reads a tensor of floats, rounded to 32 bits.</summary>
    public float[] ReadSingles(StoredTensor tensor)
    {
        var bytes = new byte[checked((int)tensor.Count * sizeof(float))];
        CopyTo(tensor, new FloatRounding(new MemoryStream(bytes), tensor.Type.Element!.Value, ElementType.F32));
        var values = new float[tensor.Count];
        bytes.CopyTo(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>Closes the file.</summary>
    public abstract void Dispose();
}

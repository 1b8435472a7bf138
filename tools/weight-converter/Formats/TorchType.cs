using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>A type of elements that torch stores.</summary>
/// <param name="Name">As torch writes it: float32.</param>
/// <param name="Storage">Class of the storages that hold it in a pickle; null for the types that come in untyped storages.</param>
/// <param name="Size">Bytes per element.</param>
/// <param name="Element">The same type in a safetensors file; null where this program has none.</param>
internal sealed record TorchType(string Name, string? Storage, int Size, ElementType? Element)
{
    /// <summary>Untyped storages count bytes.</summary>
    public static readonly TorchType Byte = new("uint8", "ByteStorage", 1, ElementType.U8);

    private static readonly TorchType[] All =
    [
        new("float64", "DoubleStorage", 8, ElementType.F64),
        new("float32", "FloatStorage", 4, ElementType.F32),
        new("float16", "HalfStorage", 2, ElementType.F16),
        new("bfloat16", "BFloat16Storage", 2, ElementType.BF16),
        new("int64", "LongStorage", 8, ElementType.I64),
        new("int32", "IntStorage", 4, ElementType.I32),
        new("int16", "ShortStorage", 2, ElementType.I16),
        new("int8", "CharStorage", 1, ElementType.I8),
        Byte,
        new("bool", "BoolStorage", 1, ElementType.Bool),
        new("uint64", null, 8, ElementType.U64),
        new("uint32", null, 4, ElementType.U32),
        new("uint16", null, 2, ElementType.U16),
        new("complex128", "ComplexDoubleStorage", 16, null),
        new("complex64", "ComplexFloatStorage", 8, null),
        new("complex32", "ComplexHalfStorage", 4, null),
        new("float8_e4m3fn", null, 1, null),
        new("float8_e5m2", null, 1, null),
        new("float8_e4m3fnuz", null, 1, null),
        new("float8_e5m2fnuz", null, 1, null),
        new("float8_e8m0fnu", null, 1, null),
        new("quint8", "QUInt8Storage", 1, null),
        new("qint8", "QInt8Storage", 1, null),
        new("qint32", "QInt32Storage", 4, null),
    ];

    private static readonly Dictionary<string, TorchType> ByName = All.ToDictionary(type => type.Name, StringComparer.Ordinal);

    private static readonly Dictionary<string, TorchType> ByStorage = All.Where(type => type.Storage is not null)
        .ToDictionary(type => type.Storage!, StringComparer.Ordinal);

    private static readonly Dictionary<ElementType, TorchType> ByElement = All.Where(type => type.Element is not null)
        .ToDictionary(type => type.Element!.Value);

    /// <summary>The type called torch.{name}, or null.</summary>
    public static TorchType? Named(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The type that storages of a class hold, or null.</summary>
    public static TorchType? OfStorage(string storage) => ByStorage.GetValueOrDefault(storage);

    /// <summary>The type that a safetensors file calls so.</summary>
    public static TorchType Of(ElementType type) => ByElement[type];
}

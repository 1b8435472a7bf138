using System.Text.Json;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>The JSON header of a safetensors file, every statement in it checked against the file's length.</summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The reference implementation's limit, in bytes.</summary>
    private const long LongestHeader = 100_000_000;

    private readonly string path;

    private SafetensorsHeader(string path) => this.path = path;

    public Dictionary<string, string> Metadata { get; } = [];

    /// <summary>Tensors with the offset of their first byte in the data section, in the order of the data.</summary>
    public List<(TensorEntry Entry, long Offset)> Tensors { get; } = [];

    /// <summary>Checks the length in the first eight bytes against the file's.</summary>
    public static int CheckedLength(string path, ulong headerLength, long fileLength)
    {
        if (headerLength is < 2 or > LongestHeader)
        {
            throw new WeightsException(path, null, $"the first eight bytes announce a header of {headerLength} bytes",
                "this is no safetensors file (convert .pt and .ckpt files first)");
        }

        if ((long)headerLength > fileLength - 8)
        {
            throw new WeightsException(path, null, $"the header has {headerLength} bytes but only {fileLength - 8} follow its length",
                "the file is cut short: fetch or copy it again");
        }

        return (int)headerLength;
    }

    /// <summary>Reads the header and checks it.</summary>
    /// <param name="path">Named in errors.</param>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataLength">Bytes that follow the header.</param>
    /// <exception cref="WeightsException">The header is malformed or contradicts the length of the data.</exception>
    public static SafetensorsHeader Parse(string path, ReadOnlyMemory<byte> json, long dataLength)
    {
        var header = new SafetensorsHeader(path);
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 8, AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw header.Malformed(null, "the header is not a JSON object");
            }

            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (property.Name == "__metadata__")
                {
                    header.AddMetadata(property.Value);
                }
                else
                {
                    header.AddTensor(property.Name, property.Value);
                }
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: text in it is no Unicode.
            throw new WeightsException(path, null, $"the header is not valid JSON ({error.Message.TrimEnd('.')})",
                "the file is damaged or no safetensors file", error);
        }

        header.CheckLayout(dataLength);
        return header;
    }

    private void AddMetadata(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Malformed(null, "__metadata__ is not an object");
        }

        foreach (var item in value.EnumerateObject())
        {
            Metadata[item.Name] = item.Value.ValueKind == JsonValueKind.String
                ? item.Value.GetString()!
                : throw Malformed(null, $"__metadata__ entry '{item.Name}' is not a string");
        }
    }

    private void AddTensor(string name, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out var dtype) || dtype.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out var shape) || shape.ValueKind != JsonValueKind.Array
            || !value.TryGetProperty("data_offsets", out var offsets) || offsets.ValueKind != JsonValueKind.Array
            || offsets.GetArrayLength() != 2)
        {
            throw Malformed(name, "dtype, shape or data_offsets is missing or of the wrong kind");
        }

        var type = ParseType(name, dtype.GetString()!);
        var sizes = new List<int>();
        foreach (var size in shape.EnumerateArray())
        {
            sizes.Add(size.ValueKind == JsonValueKind.Number && size.TryGetInt32(out int number) && number >= 0
                ? number
                : throw Malformed(name, $"shape entry {size} is not a whole number from 0 to {int.MaxValue}"));
        }

        long bytes = TensorEntry.Bytes(type, sizes) ?? throw Malformed(name, $"shape {shape} is too large");
        if (!TryGetLong(offsets[0], out long begin) || !TryGetLong(offsets[1], out long end) || begin < 0 || end < begin)
        {
            throw Malformed(name, $"data_offsets {offsets} are not two rising whole numbers");
        }

        if (end - begin != bytes)
        {
            throw Malformed(name, $"data_offsets span {end - begin} bytes but {type} {shape} takes {bytes}");
        }

        Tensors.Add((new TensorEntry(name, type, sizes, bytes), begin));
    }

    private static bool TryGetLong(JsonElement element, out long value)
    {
        value = 0;
        return element.ValueKind == JsonValueKind.Number && element.TryGetInt64(out value);
    }

    private ElementType ParseType(string name, string dtype) => dtype switch
    {
        "F64" => ElementType.F64,
        "F32" => ElementType.F32,
        "F16" => ElementType.F16,
        "BF16" => ElementType.BF16,
        "I64" => ElementType.I64,
        "I32" => ElementType.I32,
        "I16" => ElementType.I16,
        "I8" => ElementType.I8,
        "U64" => ElementType.U64,
        "U32" => ElementType.U32,
        "U16" => ElementType.U16,
        "U8" => ElementType.U8,
        "BOOL" => ElementType.Bool,
        _ => throw new WeightsException(path, name, $"dtype {dtype}",
            "expected F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8 or BOOL: save the tensor in one of these"),
    };

    /// <summary>Tensors must cover the data section without gap or overlap, as the format demands.</summary>
    private void CheckLayout(long dataLength)
    {
        Tensors.Sort((a, b) => (a.Offset, a.Entry.ByteLength, a.Entry.Name).CompareTo((b.Offset, b.Entry.ByteLength, b.Entry.Name)));
        long end = 0;
        foreach (var (entry, offset) in Tensors)
        {
            if (offset + entry.ByteLength > dataLength)
            {
                throw new WeightsException(path, entry.Name,
                    $"its data ends at byte {offset + entry.ByteLength} but the file holds {dataLength} bytes of data",
                    "the file is cut short: fetch or copy it again");
            }

            if (offset != end)
            {
                throw Malformed(entry.Name, offset < end
                    ? $"its data begins at byte {offset}, inside the tensor before it, which ends at {end}"
                    : $"its data begins at byte {offset}, leaving a gap after byte {end}");
            }

            end = offset + entry.ByteLength;
        }

        if (end != dataLength)
        {
            throw Malformed(null, $"{dataLength - end} bytes follow the last tensor");
        }
    }

    private WeightsException Malformed(string? tensor, string got) =>
        new(path, tensor, got, "the file is damaged or was written by a faulty program: fetch or save it again");
}

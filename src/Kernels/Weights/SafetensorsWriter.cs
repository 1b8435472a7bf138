using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>Writes safetensors files, whole or not at all and byte for byte the same for the same content.</summary>
public static class SafetensorsWriter
{
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a file tensor by tensor, beside the target first, then renamed over it.</summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="metadata">Free-form key-value pairs for the header.</param>
    /// <param name="tensors">The tensors; stored by falling element size, then by name, as the reference implementation does.</param>
    /// <exception cref="ArgumentException">Two tensors share a name, or one's elements do not fill its shape.</exception>
    /// <exception cref="IOException">The file cannot be written; the previous one is untouched.</exception>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata, IEnumerable<TensorSource> tensors)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        ArgumentNullException.ThrowIfNull(tensors);
        // Large elements first keeps every tensor aligned to its element size.
        var ordered = tensors
            .OrderByDescending(tensor => tensor.Entry.Type.Size())
            .ThenBy(tensor => tensor.Entry.Name, StringComparer.Ordinal)
            .ToList();
        byte[] header = Header(metadata, ordered);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            foreach (var tensor in ordered)
            {
                tensor.Write(stream);
            }
        });
    }

    private static byte[] Header(IReadOnlyDictionary<string, string> metadata, List<TensorSource> tensors)
    {
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write(new byte[8]);
        var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
        using (var json = new Utf8JsonWriter(buffer, JsonOptions))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long offset = 0;
            foreach (var entry in tensors.Select(tensor => tensor.Entry))
            {
                if (!names.Add(entry.Name))
                {
                    throw new ArgumentException($"two tensors are called '{entry.Name}', or the name is reserved", nameof(tensors));
                }

                WriteEntry(json, entry, offset);
                offset += entry.ByteLength;
            }

            json.WriteEndObject();
        }

        int padding = -buffer.WrittenCount & 7;
        buffer.Write("       "u8[..padding]);
        byte[] header = buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - 8);
        return header;
    }

    private static void WriteEntry(Utf8JsonWriter json, TensorEntry entry, long offset)
    {
        json.WriteStartObject(entry.Name);
        json.WriteString("dtype", entry.Type.ToString().ToUpperInvariant());
        json.WriteStartArray("shape");
        foreach (int size in entry.Shape)
        {
            json.WriteNumberValue(size);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(offset + entry.ByteLength);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
